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
import { AppendPipeline } from './append-pipeline.adapter.js';
import { Connection } from './connection.adapter.js';
import { closed } from './errors.adapter.js';
import { Horizon } from './horizon.js';
import { LogPages } from './log-pages.adapter.js';
import { Reader } from './reader.adapter.js';
import { subscription } from './subscription.adapter.js';
import { TailBuffer } from './tail-buffer.js';
import { Tail } from './tail.adapter.js';
import { Truncations } from './truncations.adapter.js';

export interface EventStoreDbOptions {
  /** `esdb://…` or `esdb+discover://…`, with `nodePreference=leader` (the default) for a cluster. */
  readonly connectionString: string;
  /** How the names of all streams begin on the server; default `millrace.`. */
  readonly prefix?: string;
  /**
   * A stream that every log of this program has. Where nothing has the prefix yet, but this stream is there without one,
   * opening is refused: the log was made before there were prefixes.
   */
  readonly refuseUnprefixed?: string;
}

/** How long closing waits for appends that are under way. */
const CLOSING_MS = 8_000;

/**
 * The log in EventStoreDB 24.10.5 or newer (25.0.1 in the 25 line: those between can skip events when they filter). One
 * instance a process: it holds one connection and one live subscription, which all its subscriptions share.
 */
export class EventStoreDbEventStore extends EventStore {
  private isClosed = false;
  private readonly shared: SharedPages;

  private constructor(
    private readonly connection: Connection,
    private readonly horizon: Horizon,
    private readonly reader: Reader,
    private readonly pipeline: AppendPipeline,
    private readonly truncations: Truncations,
    private readonly pages: LogPages,
    private readonly tail: Tail,
  ) {
    super();
    this.shared = new SharedPages((options) => pages.read(options));
  }

  /**
   * Connects and starts to follow the log.
   * @throws Rejected `log.unprefixed`, see {@link EventStoreDbOptions.refuseUnprefixed}.
   * @throws Transient `log.unavailable` if no server answers within some seconds.
   * @throws Error if the connection string cannot be read; it names the place.
   */
  static async open(options: EventStoreDbOptions): Promise<EventStoreDbEventStore> {
    const names = new StreamNames(options.prefix);
    const connection = new Connection(options.connectionString);
    const horizon = new Horizon();
    const reader = new Reader(connection, names);
    const truncations = new Truncations();
    const tail = new Tail(connection, reader, new TailBuffer(), horizon, truncations);
    const pages = new LogPages(reader, horizon, truncations);
    const pipeline = new AppendPipeline(connection, reader, horizon);
    try {
      await tail.begin();
      if (tail.newest === 0n && options.refuseUnprefixed) await refuseUnprefixed(connection, options.refuseUnprefixed);
      await truncations.load(reader);
    } catch (error) {
      await tail.close();
      await connection.close();
      throw error;
    }
    return new EventStoreDbEventStore(connection, horizon, reader, pipeline, truncations, pages, tail);
  }

  async append(stream: string, events: readonly EventToAppend[], expected: ExpectedRevision): Promise<AppendResult> {
    this.checkOpen();
    return this.pipeline.append(stream, events, expected, checkAppend(stream, events, expected));
  }

  async readStream(stream: string, options: ReadStreamOptions = {}): Promise<readonly RecordedEvent[]> {
    this.checkOpen();
    const { from, direction = 'forwards', limit = 1000 } = options;
    return this.reader.stream(stream, { from, direction, count: limit });
  }

  async readAll(options: ReadAllOptions): Promise<AllPage> {
    this.checkOpen();
    return this.pages.read(options);
  }

  subscribe(options: SubscribeOptions): AsyncIterable<SubscriptionItem> {
    this.checkOpen();
    const { tail, pages, shared } = this;
    return subscription(options, { tail, pages, shared, end: () => this.end() });
  }

  async head(): Promise<bigint> {
    this.checkOpen();
    return this.tail.head();
  }

  truncatedBefore(stream: string): Promise<bigint> {
    return Promise.resolve(this.truncations.before(stream));
  }

  async truncateBefore(stream: string, revision: bigint): Promise<void> {
    this.checkOpen();
    await this.truncations.move(stream, revision, this.reader, this.pipeline);
  }

  async ping(): Promise<void> {
    this.checkOpen();
    await this.reader.end();
  }

  async close(): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    const timer = new AbortController();
    await Promise.race([this.pipeline.close(), bounded(CLOSING_MS, timer.signal)]);
    timer.abort();
    await Promise.all([this.tail.close(), this.connection.close()]);
  }

  /** The very last position, the server's own records included: everything now in the log is at or before it. */
  private async end(): Promise<bigint> {
    const end = (await this.reader.end()) ?? 0n;
    this.horizon.reached(end);
    return end;
  }

  private checkOpen(): void {
    if (this.isClosed) throw closed();
  }
}

async function refuseUnprefixed(connection: Connection, stream: string): Promise<void> {
  const unprefixed = new Reader(connection, new StreamNames(''));
  const [event] = await unprefixed.stream(stream, { direction: 'forwards', count: 1 });
  if (event === undefined) return;
  throw new Rejected(
    'conflict',
    'log.unprefixed',
    'This EventStoreDB has a Millrace log whose streams have no prefix. To continue with it, set MILLRACE_STREAM_PREFIX to an empty string. To start another log on the same server, set MILLRACE_STREAM_PREFIX to a new prefix.',
  );
}

function bounded(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener('abort', () => clearTimeout(timer));
  });
}
