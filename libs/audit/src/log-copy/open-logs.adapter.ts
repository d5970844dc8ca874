import type { DataSource } from 'typeorm';

import { EventReader } from '#libs/event-index/src/event-reader.adapter.js';
import type { EventStore } from '#libs/event-store/src/event-store.js';
import { DEFAULT_STREAM_PREFIX } from '#libs/events/src/streams.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { openDataSource } from '#libs/persistence/src/data-source.adapter.js';
import { forgetLog } from '#libs/persistence/src/forget-log.adapter.js';

import { keptLeaves, loadTrees, WHOLE_LOG } from '../proof/kept-tree.adapter.js';
import { type CopyResult, type Copying, copyLog, type RemovedEvent } from './copy-log.js';

export interface LogPlace {
  /** `postgresql://…`, `esdb://…` or `esdb+discover://…` */
  readonly url: string;
  /** How the names of streams begin; default `millrace.`. */
  readonly prefix?: string;
}

export interface CopyRequest extends Copying {
  readonly from: LogPlace;
  readonly to: LogPlace;
  /** The PostgreSQL of the source's servers, which knows what retention has removed. */
  readonly views?: string;
  /** Prepare the PostgreSQL of `views` for servers that use the target. */
  readonly finish: boolean;
}

/**
 * See {@link copyLog}. With `finish`, what the PostgreSQL of the servers has read out of the old log is forgotten: its secrets
 * and keys stay, and everything else is read again out of the new one.
 * @throws Rejected also `copy.bad_url`, `copy.same_log`, `copy.views_needed`
 */
export async function copyBetween({ from, to, views, finish, ...copying }: CopyRequest): Promise<CopyResult> {
  if (from.url === to.url && from.prefix === to.prefix)
    throw new Rejected('invalid', 'copy.same_log', 'Source and target are the same log.');
  if (finish && views === undefined) throw viewsNeeded('--finish');
  const closers: (() => Promise<void>)[] = [];
  try {
    const source = await openLog(from, closers);
    const target = await openLog(to, closers);
    const database = views === undefined ? undefined : await openDataSource({ url: views, poolSize: 3 });
    if (database) closers.push(() => database.destroy());
    const removed = () => (database ? removedEvents(source, database) : none());
    const result = await copyLog({ store: source, removed }, target, copying);
    if (finish) await forgetLog(database!);
    return result;
  } finally {
    for (const close of closers.reverse()) await close();
  }
}

async function openLog(
  { url, prefix = DEFAULT_STREAM_PREFIX }: LogPlace,
  closers: (() => Promise<void>)[],
): Promise<EventStore> {
  const store = await openByProtocol(url, prefix);
  closers.push(() => store.close());
  return store;
}

async function openByProtocol(url: string, prefix: string): Promise<EventStore> {
  if (/^postgres(ql)?:\/\//.test(url)) {
    const { PostgresEventStore } =
      await import('#libs/event-store/src/adapters/postgres/postgres-event-store.adapter.js');
    return PostgresEventStore.open({ connectionString: url, prefix });
  }
  if (/^esdb(\+discover)?:\/\//.test(url)) {
    const { EventStoreDbEventStore } =
      await import('#libs/event-store/src/adapters/eventstoredb/eventstoredb-event-store.adapter.js');
    return EventStoreDbEventStore.open({ connectionString: url, prefix });
  }
  throw new Rejected(
    'invalid',
    'copy.bad_url',
    'A log must be given as postgresql://user:password@host:5432/database, esdb://host:2113 or esdb+discover://host:2113.',
  );
}

/** Leaves of the tree whose events the log does not have any more, under the names that the index of events has for them. */
async function* removedEvents(source: EventStore, database: DataSource): AsyncGenerator<RemovedEvent> {
  const tree = (await loadTrees(database, [WHOLE_LOG])).get(WHOLE_LOG);
  if (!tree) return;
  const progress = { whenProcessed: () => Promise.resolve() };
  const index = new EventReader(database, source, progress);
  const boundaries = new Map<string, bigint>();
  let after: bigint | undefined;
  let there: { readonly positions: Set<bigint>; readonly upTo: bigint; readonly end: boolean } | undefined;
  for await (const leaves of keptLeaves(database, WHOLE_LOG, tree.edge.size, 4)) {
    const gone: (typeof leaves)[number][] = [];
    for (const leaf of leaves) {
      while (!there || (there.upTo < leaf.position && !there.end)) {
        const page = await source.readAll({ limit: 1_000, ...(after !== undefined && { after }) });
        after = page.position;
        there = { positions: new Set(page.events.map(({ position }) => position)), upTo: page.position, end: page.end };
      }
      if (!there.positions.has(leaf.position)) gone.push(leaf);
    }
    const names = await index.namesAt(gone.map(({ position }) => position));
    for (const { position, leaf } of gone) {
      const name = names.get(position);
      const boundary = name && (boundaries.get(name.stream) ?? (await source.truncatedBefore(name.stream)));
      if (name) boundaries.set(name.stream, boundary!);
      if (name === undefined || name.revision >= boundary!)
        throw new Rejected(
          'conflict',
          'copy.unknown_event',
          `The event that was at position ${position} was removed from the log, and not by retention. "millrace audit verify" says more.`,
        );
      yield { position, leaf, stream: name.stream, revision: name.revision, orgId: name.orgId };
    }
  }
}

async function* none(): AsyncGenerator<RemovedEvent> {
  // Without the trees nothing is known of what was removed: a stream whose beginning is missing cannot be appended.
}

const viewsNeeded = (why: string): Rejected =>
  new Rejected(
    'invalid',
    'copy.views_needed',
    `${why} needs the PostgreSQL of the servers: give it with --views, or set DATABASE_URL.`,
  );
