import { Rejected } from '#libs/kernel/src/errors.js';

import { checkAppend } from '../../append-request.js';
import {
  type AllPage,
  type AppendResult,
  type EventToAppend,
  EventStore,
  type ExpectedRevision,
  type ReadAllOptions,
  type ReadStreamOptions,
  type RecordedEvent,
  type SubscribeOptions,
  type SubscriptionItem,
} from '../../event-store.js';
import { StreamNames } from '../../names/stream-names.js';
import { SharedPages } from '../shared-pages.js';
import type { Appended, AppendOutcome, AppendRequest } from './append-batch.js';
import { connect, discard } from './connection.adapter.js';
import { Feed } from './feed.js';
import { DEFAULT_LIMITS, GroupCommit, type GroupCommitLimits } from './group-commit.js';
import { Listener } from './listener.adapter.js';
import { migrate } from './migrations.adapter.js';
import { Reader } from './reader.adapter.js';
import { CHANNEL } from './schema.js';
import { Subscription } from './subscription.js';
import { closed, isPassing, unavailable } from './unavailable.js';
import { Writer } from './writer.adapter.js';

export interface PostgresEventStoreOptions {
  readonly connectionString: string;
  /** How the stored names of all streams begin; default `millrace.`. */
  readonly prefix?: string;
  /** Connections for reading (default 4), beside one that writes and one that listens. */
  readonly maxConnections?: number;
  /** Bytes of the newest events kept in memory for live subscriptions (default 12 MiB). */
  readonly tailBytes?: number;
  readonly limits?: GroupCommitLimits;
}

/** From here on plans made without statistics are no longer good enough. */
const ANALYZE_AT = 10_000n;

/**
 * The log in PostgreSQL: one writer at a time under the lock of the head row, made fast by group commit; readers never
 * lock. Makes and upgrades its own schema, `log`.
 */
export class PostgresEventStore extends EventStore {
  private readonly writer: Writer;
  private readonly commits: GroupCommit<AppendRequest, AppendOutcome>;
  private readonly feed: Feed;
  private readonly pages: SharedPages;
  private listener: Listener | undefined;
  private isClosed = false;

  private constructor(
    private readonly options: PostgresEventStoreOptions,
    private readonly reader: Reader,
    names: StreamNames,
    head: bigint,
  ) {
    super();
    const read = (after: bigint, upTo: bigint, limit: number): Promise<AllPage> =>
      reader.forwards(after, upTo, {}, limit);
    this.feed = new Feed(head, options.tailBytes ?? 12 * 1024 * 1024, read);
    this.pages = new SharedPages((all) => reader.readAll(all));
    this.writer = new Writer(options.connectionString, names, (appended) => this.stored(appended));
    this.commits = new GroupCommit((batch) => this.writer.commit(batch), options.limits ?? DEFAULT_LIMITS);
  }

  /**
   * Opens the log, making or upgrading its schema.
   * @throws Transient `log.unavailable` if the database does not answer.
   * @throws Rejected `log.other_prefix` if its streams begin with another prefix.
   */
  static async open(options: PostgresEventStoreOptions): Promise<PostgresEventStore> {
    const names = new StreamNames(options.prefix);
    try {
      const client = await connect(options.connectionString, 'millrace log migration');
      try {
        await migrate(client, names.prefix);
      } finally {
        discard(client);
      }
    } catch (error) {
      throw error instanceof Rejected || !isPassing(error) ? error : unavailable(error);
    }
    const reader = new Reader(options.connectionString, options.maxConnections ?? 4, names);
    return new PostgresEventStore(options, reader, names, await reader.head());
  }

  async append(stream: string, events: readonly EventToAppend[], expected: ExpectedRevision): Promise<AppendResult> {
    this.checkOpen();
    const bytes = checkAppend(stream, events, expected);
    const outcome = await this.commits.submit({ stream, events, expected, bytes });
    if ('error' in outcome) throw outcome.error;
    return outcome.result;
  }

  async readStream(stream: string, options: ReadStreamOptions = {}): Promise<readonly RecordedEvent[]> {
    this.checkOpen();
    return this.reader.readStream(stream, options);
  }

  async readAll(options: ReadAllOptions): Promise<AllPage> {
    this.checkOpen();
    return this.reader.readAll(options);
  }

  subscribe(options: SubscribeOptions): AsyncIterable<SubscriptionItem> {
    this.checkOpen();
    this.listen();
    const { feed, reader, pages } = this;
    const head = (): Promise<bigint> => reader.head();
    return { [Symbol.asyncIterator]: () => new Subscription(feed, head, pages, options).items() };
  }

  async head(): Promise<bigint> {
    this.checkOpen();
    return this.reader.head();
  }

  truncatedBefore(stream: string): Promise<bigint> {
    return this.reader.truncatedBefore(stream);
  }

  async truncateBefore(stream: string, revision: bigint): Promise<void> {
    this.checkOpen();
    await this.reader.truncateBefore(stream, revision, CHANNEL);
    this.feed.forget();
  }

  async ping(): Promise<void> {
    await this.head();
  }

  async close(): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    await this.commits.idle();
    this.feed.close();
    await this.listener?.close();
    this.writer.close();
    await this.reader.close();
  }

  private stored({ outcomes, events }: Appended): void {
    this.feed.committed(events);
    for (const outcome of outcomes)
      if ('result' in outcome && outcome.result.repeated) this.feed.noticed(outcome.result.position);
    const first = events[0]?.position ?? 0n;
    const last = events.at(-1)?.position ?? 0n;
    // In the background: should it fail, PostgreSQL does the same by itself, only later.
    if (first <= ANALYZE_AT && last >= ANALYZE_AT) this.reader.analyze().catch(() => undefined);
  }

  private listen(): void {
    if (this.listener) return;
    const { connectionString } = this.options;
    this.listener = new Listener(
      connectionString,
      this.feed,
      () => this.reader.head(),
      () => this.writer.processId,
    );
    this.listener.start();
  }

  private checkOpen(): void {
    if (this.isClosed) throw closed();
  }
}
