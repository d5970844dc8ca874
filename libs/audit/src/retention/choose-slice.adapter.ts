import type { DataSource } from 'typeorm';

import type { EventStore, RecordedEvent } from '#libs/event-store/src/event-store.js';
import { readWhole } from '#libs/event-store/src/reading.js';
import type { DataOf } from '#libs/events/src/catalogue.js';
import { eventIdOf } from '#libs/events/src/envelope.js';
import { eventsOfStories, oldStreams } from '#libs/event-index/src/retained-events.adapter.js';
import type { Retained } from '#libs/events/src/types/retention.events.js';
import type { Uuid } from '#libs/kernel/src/ids.js';
import type { Retainable } from '#libs/persistence/src/retainable.js';

import { indicesAt, loadTrees, WHOLE_LOG } from '../proof/kept-tree.adapter.js';
import { rangeText } from '../proof/tree/leaf-ranges.js';
import { STREAMS } from './retention.js';

/** Streams that are looked at for one slice. */
const STREAMS_OF_SLICE = 200;

interface Wanted {
  readonly orgId: string;
  readonly kind: Retained;
  /** What was received earlier is too old. */
  readonly before: Date;
  /** Every subscriber has processed the log up to here. */
  readonly upTo: bigint;
  /** Where the last slice ended. */
  readonly after: bigint;
}

export interface Chosen {
  /** Absent if nothing of what was looked at can be removed. */
  readonly slice?: DataOf<'retention.applied'>;
  /** Go on after this position; absent at the end. */
  readonly seenUpTo?: bigint;
}

export interface ChoiceParts {
  readonly store: EventStore;
  readonly database: DataSource;
  /** Who may still need an event. */
  readonly retainables: readonly Retainable[];
}

/** An event, a place in the log or a story that somebody still needs. */
interface Needed {
  readonly event: string | null;
  readonly position: string | null;
  readonly correlation: Uuid | null;
}

/** A stream that is old enough, with everything in it. */
interface Old {
  readonly stream: string;
  readonly events: readonly RecordedEvent[];
}

/**
 * The next streams that can be removed: too old as a whole, processed by everybody, covered by a checkpoint of both trees, and
 * of a story in which nothing is open.
 */
export async function chooseSlice(parts: ChoiceParts, { orgId, kind, before, upTo, after }: Wanted): Promise<Chosen> {
  const { store, database } = parts;
  const rows = await oldStreams(database, {
    ...{ orgId, after, upTo, receivedBefore: before },
    prefixes: STREAMS[kind],
    limit: STREAMS_OF_SLICE,
  });
  const old: Old[] = [];
  for (const { stream } of rows) {
    const events = await readWhole(store, stream);
    const last = events.at(-1);
    if (last && last.position <= upTo && receivedAt(last) < before) old.push({ stream, events });
  }
  const more = rows.length === STREAMS_OF_SLICE ? { seenUpTo: BigInt(rows.at(-1)!.position) } : {};
  const free = await closedOnly(parts, old);
  const places = await sealedPlaces(
    database,
    orgId,
    free.flatMap(({ events }) => events.map(({ position }) => position)),
  );
  const chosen = free.filter(({ events }) => events.every(({ position }) => places.has(position)));
  if (chosen.length === 0) return more;
  const positions = chosen.flatMap(({ events }) => events.map(({ position }) => position));
  const rising = (side: 0 | 1): string =>
    rangeText(positions.map((position) => places.get(position)![side]).sort((a, b) => a - b));
  return {
    ...more,
    slice: {
      kind,
      before: before.toISOString(),
      events: positions.length,
      streams: chosen.map(({ stream, events }) => ({ stream, revision: String(events.at(-1)!.revision) })),
      leaves: rising(0),
      ownLeaves: rising(1),
    },
  };
}

/** Others may have written to our streams: what cannot be read is as old as the log says. */
const receivedAt = (event: RecordedEvent): Date =>
  event.isReadable ? new Date(event.metadata.receivedAt ?? event.metadata.timestamp) : event.created;

/** Places in the tree of the log and in that of the organisation; only of events that a checkpoint of each covers. */
async function sealedPlaces(
  database: DataSource,
  orgId: string,
  positions: readonly bigint[],
): Promise<ReadonlyMap<bigint, readonly [number, number]>> {
  const trees = await loadTrees(database, [WHOLE_LOG, orgId]);
  const [whole, own] = [WHOLE_LOG, orgId].map((tree) => trees.get(tree)?.sealedSize ?? 0) as [number, number];
  const inWhole = await indicesAt(database, WHOLE_LOG, positions);
  const inOwn = await indicesAt(database, orgId, positions);
  return new Map(
    positions.flatMap((position) => {
      const [first, second] = [inWhole.get(position), inOwn.get(position)];
      const isSealed = first !== undefined && second !== undefined && first < whole && second < own;
      return isSealed ? [[position, [first, second]] as const] : [];
    }),
  );
}

/** Those of whose stories nobody needs an event any more. */
async function closedOnly({ database, retainables }: ChoiceParts, old: readonly Old[]): Promise<readonly Old[]> {
  const correlationsOf = ({ events }: Old): readonly Uuid[] =>
    events.flatMap((event) => (event.isReadable ? [event.metadata.$correlationId] : []));
  const correlations = [...new Set(old.flatMap(correlationsOf))];
  if (correlations.length === 0) return old;
  const story = await eventsOfStories(database, correlations);
  const byId = new Map(story.map(({ id, correlation }) => [eventIdOf(id), correlation]));
  const byPosition = new Map(story.map(({ position, correlation }) => [position, correlation]));
  const questions = retainables.flatMap(({ open }) => (open === undefined ? [] : [open]));
  const needed = await database.query<Needed[]>(
    `select event, position, correlation from (${questions.join(' union all ')}) as needed
      where $1::uuid[] is not null and $2::text[] is not null and $3::bigint[] is not null`,
    [correlations, [...byId.keys()], [...byPosition.keys()]],
  );
  const held = new Set(
    needed.map(({ event, position, correlation }) => correlation ?? byId.get(event!) ?? byPosition.get(position!)),
  );
  for (const { event } of needed) if (event !== null) held.add(byId.get(event));
  return old.filter((one) => !correlationsOf(one).some((correlation) => held.has(correlation)));
}
