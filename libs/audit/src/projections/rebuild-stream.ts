import type { Author } from '#libs/event-store/src/command-handlers.js';
import { type EventStore, type RecordedEvent, WrongRevision } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { readLast, readWhole } from '#libs/event-store/src/reading.js';
import type { DataOf } from '#libs/events/src/catalogue.js';
import { causedBy } from '#libs/events/src/envelope.js';
import { streams } from '#libs/events/src/streams.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { uuid5 } from '#libs/kernel/src/ids.js';

type Requested = DataOf<'projection.rebuild_requested'>;
type Ended = DataOf<'projection.rebuild_ended'>;

/**
 * The stream of a projection has a request and its end by turns: one rebuild at a time, whichever process does it.
 * A request that is sent again finds itself.
 * @throws Rejected `projection.busy`
 */
export async function requestRebuild(
  store: EventStore,
  data: Requested,
  { orgId, actor }: Author,
  now: Date,
): Promise<bigint> {
  const { rebuildId, projection } = data;
  const stream = streams.rebuilds(projection);
  const id = uuid5('projection.rebuild_requested', rebuildId);
  for (;;) {
    const recorded = await readWhole(store, stream);
    const before = recorded.find((event) => event.id === id);
    if (before) return before.position;
    const last = recorded.at(-1);
    if (last?.is('projection.rebuild_requested')) throw busy(last.data);
    const context = { id, orgId, actor, now, subject: `projection/${projection}` };
    const event = newEvent({ type: 'projection.rebuild_requested', data }, context);
    try {
      return (await store.append(stream, [event], last?.revision ?? 'no-stream')).position;
    } catch (error) {
      if (!(error instanceof WrongRevision)) throw error;
    }
  }
}

/** Records how a rebuild ended. Where it has ended already, that stands. @returns where the end is in the log */
export async function endRebuild(
  store: EventStore,
  data: Ended,
  { actor, now }: { readonly actor: string; readonly now: Date },
): Promise<bigint> {
  const stream = streams.rebuilds(data.projection);
  for (;;) {
    const known = await endOf(store, data.projection, data.rebuildId);
    if (known) return known.position;
    const last = await readLast(store, stream);
    if (!last?.is('projection.rebuild_requested') || last.data.rebuildId !== data.rebuildId)
      throw notFound(data.rebuildId);
    const { orgId, subject } = last.metadata;
    const id = uuid5('projection.rebuild_ended', data.rebuildId);
    const event = newEvent(
      { type: 'projection.rebuild_ended', data },
      { id, orgId, actor, now, subject, cause: causedBy(last) },
    );
    try {
      return (await store.append(stream, [event], last.revision)).position;
    } catch (error) {
      if (!(error instanceof WrongRevision)) throw error;
    }
  }
}

/** How a rebuild ended, if it has. */
export async function endOf(
  store: EventStore,
  projection: string,
  rebuildId: string,
): Promise<RecordedEvent<'projection.rebuild_ended'> | undefined> {
  const recorded = await readWhole(store, streams.rebuilds(projection));
  return recorded.flatMap((event) =>
    event.is('projection.rebuild_ended') && event.data.rebuildId === rebuildId ? [event] : [],
  )[0];
}

const busy = ({ rebuildId, projection, mode }: Requested): Rejected =>
  new Rejected(
    'conflict',
    'projection.busy',
    `${mode === 'rebuild' ? 'Rebuild' : 'Verification'} ${rebuildId} of ${projection} is under way. Wait for its end, or cancel it: POST /api/v1/projections/${projection}/rebuilds/${rebuildId}/cancel`,
  );

export const notFound = (rebuildId: string): Rejected =>
  new Rejected(
    'not_found',
    'projection.rebuild_not_found',
    `There is no rebuild ${rebuildId}. GET /api/v1/projections/{name}/rebuilds lists them.`,
  );
