import { causedBy } from '#libs/events/src/envelope.js';
import { streams } from '#libs/events/src/streams.js';
import { messageOf, Transient } from '#libs/kernel/src/errors.js';
import { uuid5 } from '#libs/kernel/src/ids.js';
import { beginning } from '#libs/kernel/src/text/text.js';

import { type EventStore, type RecordedEvent, WrongRevision } from '../event-store.js';
import { newEvent } from '../new-event.js';
import type { Subscriber } from '../subscriber.js';
import type { CheckpointMove, Checkpoints, ParkedEvent } from './checkpoints.js';
import type { FollowerParts } from './follower-parts.js';
import { handleOnce } from './handle-once.js';

const PARKED = 'subscriber.parked';

/**
 * Tells in the log that a subscriber gave an event up. Doing it again is an ordinary "already done": the id follows from
 * the subscriber and the event, and only the active instance writes this stream.
 */
async function recordParked(store: EventStore, parked: ParkedEvent, event: RecordedEvent, now: Date): Promise<void> {
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

const reasonOf = (error: unknown): string => beginning(messageOf(error), 2_000);

interface Failure {
  readonly error: unknown;
  readonly tries: number;
  /** Past the event. */
  readonly move: CheckpointMove;
}

/** Gives an event up: says so in the log, then stores it beside the checkpoint that passes it. */
export async function parkEvent(
  { store, checkpoints, clock, log }: FollowerParts,
  event: RecordedEvent,
  { error, tries, move }: Failure,
): Promise<void> {
  const { position, id: eventId, type } = event;
  const parked: ParkedEvent = { subscriber: move.name, position, eventId, type, reason: reasonOf(error), tries };
  await recordParked(store, parked, event, clock.now());
  await storeParked(checkpoints, parked, move);
  log.error({ subscriber: move.name, type, id: eventId }, 'an event is parked');
}

/**
 * Handles the parked events whose retry was asked for, each in its own transaction; the checkpoint stays where it is.
 * @returns whether there were any.
 */
export async function retryParked(
  { store, checkpoints, log }: FollowerParts,
  subscriber: Subscriber,
  signal: AbortSignal,
): Promise<boolean> {
  const asked = await checkpoints.parkedToRetry(subscriber.name);
  for (const parked of asked) {
    const { events } = await store.readAll({ from: parked.position, limit: 1 });
    try {
      // Retention may have taken the event away: then there is nothing left to do about it.
      const there = events.filter(({ position }) => position === parked.position);
      await handleOnce(checkpoints, subscriber, there, parked, signal);
      log.info({ subscriber: parked.subscriber, id: parked.eventId }, 'a parked event is done');
    } catch (error) {
      const known = checkpoints.classify(error);
      if (known instanceof Transient || signal.aborted) throw known;
      await storeParked(checkpoints, { ...parked, reason: reasonOf(known), tries: parked.tries + 1 });
    }
  }
  return asked.length > 0;
}

async function storeParked(checkpoints: Checkpoints, parked: ParkedEvent, move?: CheckpointMove): Promise<void> {
  const transaction = await checkpoints.begin();
  try {
    await transaction.park(parked);
    await transaction.commit(move);
  } catch (error) {
    await transaction.rollback();
    throw error;
  }
}
