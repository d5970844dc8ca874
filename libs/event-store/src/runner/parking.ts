import { causedBy, DEFAULT_ORG } from '#libs/events/src/envelope.js';
import { streams } from '#libs/events/src/streams.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';
import { messageOf, Transient } from '#libs/kernel/src/errors.js';
import { uuid5 } from '#libs/kernel/src/ids.js';
import { beginning } from '#libs/kernel/src/text/text.js';

import { type EventStore, type EventToAppend, type RecordedEvent, Unreadable, WrongRevision } from '../event-store.js';
import { newEvent } from '../new-event.js';
import type { Subscriber } from '../subscriber.js';
import type { CheckpointMove, Checkpoints, ParkedEvent } from './checkpoints.js';
import type { FollowerParts } from './follower-parts.js';
import { handleOnce } from './handle-once.js';

const PARKED = 'subscriber.parked';

/** An event that a subscriber gives up, and what is known of it. */
interface GivenUp {
  readonly event: RecordedEvent;
  readonly parked: ParkedEvent;
}

/**
 * Tells in the log that a subscriber gave events up. Doing it again is an ordinary "already done": the ids follow from the
 * subscriber and the events, and only the active instance writes this stream.
 */
async function recordParked(store: EventStore, subscriber: string, all: readonly GivenUp[], now: Date): Promise<void> {
  // A subscriber that cannot read this very type must not answer each by another one.
  const told = all.filter(({ event }) => event.type !== PARKED);
  const stream = streams.parked(subscriber);
  while (told.length > 0) {
    const newest = await store.readStream(stream, { direction: 'backwards', limit: 10 + told.length });
    const known = new Set(newest.map(({ id }) => id));
    const fresh = told.map((one) => newsOf(subscriber, one, now)).filter(({ id }) => !known.has(id));
    if (fresh.length === 0) return;
    try {
      await store.append(stream, fresh, newest[0]?.revision ?? 'no-stream');
      return;
    } catch (error) {
      if (!(error instanceof WrongRevision)) throw error;
    }
  }
}

function newsOf(subscriber: string, { event, parked }: GivenUp, now: Date): EventToAppend {
  const { position, eventId, type, reason } = parked;
  const id = uuid5(PARKED, subscriber, event.id);
  const draft = { type: PARKED, data: { subscriber, position: String(position), eventId, type, reason } };
  const context = { id, actor: 'millrace', now, subject: `subscriber/${subscriber}` };
  // The organisation of an unreadable event is unknown: the operator is notified.
  return event.isReadable
    ? newEvent(draft, { ...context, orgId: event.metadata.orgId, cause: causedBy(event) })
    : newEvent(draft, {
        ...context,
        orgId: DEFAULT_ORG,
        cause: { $correlationId: event.id, $causationId: event.id, hop: 1 },
      });
}

const reasonOf = (error: unknown): string => beginning(messageOf(error), 2_000);
/** A message may quote what it is about. The reason is kept in clear, and personal data are not. */
const SECRET_REASON = 'The event has personal fields, so the message of the error is in the log of the server alone.';

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
  const parked = parkedOf(move.name, event, error, tries);
  await recordParked(store, move.name, [{ event, parked }], clock.now());
  await storeParked(checkpoints, [parked], move);
  log.error({ subscriber: move.name, type: event.type, id: event.id }, 'an event is parked');
}

const parkedOf = (subscriber: string, event: RecordedEvent, error: unknown, tries: number) => {
  const { position, id, type } = event;
  return {
    subscriber,
    position,
    eventId: id,
    type,
    reason: event.isOpened ? SECRET_REASON : reasonOf(error),
    tries,
  } satisfies ParkedEvent;
};

/** Events of one append that tells of them. */
const TOLD_AT_ONCE = 200;

/**
 * Sets aside what cannot be read, whatever the subscriber would do with it. The checkpoint passes it with the events beside
 * it: after a crash in between this is done again, with no effect.
 * @returns the rest.
 */
export async function parkUnreadable(
  { store, checkpoints, clock, log }: FollowerParts,
  subscriber: string,
  events: readonly RecordedEvent[],
): Promise<readonly RecordedEvent[]> {
  const givenUp = events.flatMap((event): GivenUp[] => {
    try {
      void event.data;
      return [];
    } catch (error) {
      if (!(error instanceof Unreadable)) return [];
      return [{ event, parked: parkedOf(subscriber, event, error, 1) }];
    }
  });
  for (let from = 0; from < givenUp.length; from += TOLD_AT_ONCE) {
    const some = givenUp.slice(from, from + TOLD_AT_ONCE);
    await recordParked(store, subscriber, some, clock.now());
    crashPoint('runner.unreadable-told');
    await storeParked(
      checkpoints,
      some.map(({ parked }) => parked),
    );
    for (const { parked } of some) log.error({ subscriber, reason: parked.reason }, 'an event is parked');
  }
  const lost = new Set(givenUp.map(({ event }) => event));
  return events.filter((event) => !lost.has(event));
}

/**
 * Handles the parked events whose retry was asked for, each in its own transaction; the checkpoint stays where it is.
 * @returns whether there were any.
 */
export async function retryParked(
  { store, checkpoints, log, quarantine }: FollowerParts,
  subscriber: Subscriber,
  signal: AbortSignal,
): Promise<boolean> {
  const asked = await checkpoints.parkedToRetry(subscriber.name);
  for (const parked of asked) {
    const { events } = await store.readAll({ from: parked.position, limit: 1 });
    try {
      // Retention may have taken the event away, or it is in quarantine: then there is nothing left to do about it.
      const there = events.filter(({ position }) => position === parked.position);
      const left = subscriber.seesQuarantined ? there : quarantine.without(there);
      await handleOnce(checkpoints, subscriber, left, parked, { signal });
      log.info({ subscriber: parked.subscriber, id: parked.eventId }, 'a parked event was processed');
    } catch (error) {
      const known = checkpoints.classify(error);
      if (known instanceof Transient || signal.aborted) throw known;
      const reason = events.some(({ isOpened }) => isOpened) ? SECRET_REASON : reasonOf(known);
      await storeParked(checkpoints, [{ ...parked, reason, tries: parked.tries + 1 }]);
    }
  }
  return asked.length > 0;
}

async function storeParked(
  checkpoints: Checkpoints,
  all: readonly ParkedEvent[],
  move?: CheckpointMove,
): Promise<void> {
  const transaction = await checkpoints.begin();
  try {
    for (const parked of all) await transaction.park(parked);
    await transaction.commit(move);
  } catch (error) {
    await transaction.rollback();
    throw error;
  }
}
