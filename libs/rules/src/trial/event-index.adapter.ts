import type { DataSource } from 'typeorm';

import type { EventStore, RecordedEvent } from '#libs/event-store/src/event-store.js';
import { readAt } from '#libs/event-store/src/reading.js';
import type { Progress } from '#libs/event-store/src/subscriber.js';
import { eventUuidOf } from '#libs/events/src/envelope.js';
import { followers } from '#libs/events/src/followers.js';
import { Rejected, Transient } from '#libs/kernel/src/errors.js';
import type { Uuid } from '#libs/kernel/src/ids.js';

const FRESHNESS_MS = 2_000;

/** Where events are found: the log, its index, and how far that is. */
export interface Log {
  readonly store: EventStore;
  readonly database: DataSource;
  readonly progress: Progress;
}

/** Waits until the index has what is in the log now; false where it is far behind. */
export async function settleIndex(store: EventStore, progress: Progress): Promise<boolean> {
  try {
    await progress.whenProcessed(followers.eventIndex, await store.head(), FRESHNESS_MS);
    return true;
  } catch (error) {
    if (!(error instanceof Transient)) throw error;
    return false;
  }
}

/**
 * An event of an organisation by its public id; also one that was recorded a moment ago.
 * @throws Rejected `event.not_found`
 */
export async function findEvent(log: Log, orgId: string, id: string): Promise<RecordedEvent> {
  const uuid = eventUuidOf(id);
  const found = uuid && ((await indexed(log, orgId, uuid)) ?? (await afterSettling(log, orgId, uuid)));
  if (found) return found;
  throw new Rejected(
    'not_found',
    'event.not_found',
    `There is no event ${id}. GET /api/v1/events lists those there are.`,
  );
}

async function afterSettling(log: Log, orgId: string, uuid: Uuid): Promise<RecordedEvent | undefined> {
  await settleIndex(log.store, log.progress);
  return indexed(log, orgId, uuid);
}

async function indexed({ store, database }: Log, orgId: string, id: Uuid): Promise<RecordedEvent | undefined> {
  const [place] = await database.query<{ stream: string; revision: string }[]>(
    'select stream, revision from views.events where id = $1 and org_id = $2 order by position limit 1',
    [id, orgId],
  );
  if (!place) return undefined;
  return readAt(store, place.stream, place.revision);
}
