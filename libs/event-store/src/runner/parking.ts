import { causedBy } from '#libs/events/src/envelope.js';
import { streams } from '#libs/events/src/streams.js';
import { uuid5 } from '#libs/kernel/src/ids.js';

import { type EventStore, type RecordedEvent, WrongRevision } from '../event-store.js';
import { newEvent } from '../new-event.js';
import type { ParkedEvent } from './checkpoints.js';

const PARKED = 'subscriber.parked';

/**
 * Tells in the log that a subscriber gave an event up. Doing it again is an ordinary "already done": the id follows from
 * the subscriber and the event, and only the active instance writes this stream.
 */
export async function recordParked(
  store: EventStore,
  parked: ParkedEvent,
  event: RecordedEvent,
  now: Date,
): Promise<void> {
  // A subscriber that cannot read this very type must not answer each by another one.
  if (event.type === PARKED) return;
  const stream = streams.parked(parked.subscriber);
  const id = uuid5(PARKED, parked.subscriber, event.id);
  for (;;) {
    const newest = await store.readStream(stream, { direction: 'backwards', limit: 10 });
    if (newest.some((one) => one.id === id)) return;
    const { subscriber, position, eventId, type, reason } = parked;
    const draft = { type: PARKED, data: { subscriber, position: String(position), eventId, type, reason } };
    const appended = newEvent(draft, {
      id,
      orgId: event.metadata.orgId,
      actor: 'millrace',
      now,
      cause: causedBy(event),
      subject: `subscriber/${subscriber}`,
    });
    try {
      await store.append(stream, [appended], newest[0]?.revision ?? 'no-stream');
      return;
    } catch (error) {
      if (!(error instanceof WrongRevision)) throw error;
    }
  }
}
