import type { DataSource } from 'typeorm';

import type { EventStore } from '#libs/event-store/src/event-store.js';
import { readTypes } from '#libs/event-store/src/reading.js';
import { DEFAULT_STREAM_PREFIX } from '#libs/events/src/streams.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { openDataSource } from '#libs/persistence/src/data-source.adapter.js';
import { forgetLog } from '#libs/persistence/src/forget-log.adapter.js';

import { keptLeaves, loadTrees, WHOLE_LOG } from '../proof/kept-tree.adapter.js';
import { LeafRanges } from '../proof/tree/leaf-ranges.js';
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

/** The leaves that retention has named as removed, with the places in streams that it has named. */
async function* removedEvents(source: EventStore, database: DataSource): AsyncGenerator<RemovedEvent> {
  const tree = (await loadTrees(database, [WHOLE_LOG])).get(WHOLE_LOG);
  if (!tree) return;
  const slices = await removedSlices(source);
  if (slices.length === 0) return;
  for await (const leaves of keptLeaves(database, WHOLE_LOG, tree.edge.size, 4))
    for (const { index, position, leaf } of leaves) {
      const slice = slices.find(({ ranges }) => ranges.has(index));
      if (slice) yield { position, leaf, orgId: slice.orgId, place: () => slice.places.next().value ?? undefined };
    }
}

interface RemovedSlice {
  readonly ranges: LeafRanges;
  readonly orgId: string;
  /** Which leaf was which event does not matter for the tree: only that its stream is as long as it was. */
  readonly places: Iterator<{ readonly stream: string; readonly revision: bigint }, undefined>;
}

async function removedSlices(source: EventStore): Promise<readonly RemovedSlice[]> {
  const slices: RemovedSlice[] = [];
  for await (const event of readTypes(source, ['retention.applied'], await source.head())) {
    if (!event.isReadable || !event.is('retention.applied')) continue;
    const ranges = new LeafRanges();
    ranges.add(event.data.leaves);
    const gone: { readonly stream: string; readonly last: bigint }[] = [];
    for (const { stream, revision } of event.data.streams)
      if ((await source.truncatedBefore(stream)) > BigInt(revision)) gone.push({ stream, last: BigInt(revision) });
    slices.push({ ranges, orgId: event.metadata.orgId, places: placesOf(gone) });
  }
  return slices;
}

function* placesOf(
  streams: readonly { readonly stream: string; readonly last: bigint }[],
): Generator<{ readonly stream: string; readonly revision: bigint }, undefined> {
  for (const { stream, last } of streams)
    for (let revision = 0n; revision <= last; revision++) yield { stream, revision };
  return undefined;
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
