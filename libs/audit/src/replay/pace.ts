import type { TimeOf } from '#libs/event-index/src/event-query.js';
import type { RecordedEvent } from '#libs/event-store/src/event-store.js';

/** Of a replay at a speed: the time of its first event, and when that was played; milliseconds. */
export interface Pace {
  readonly from: number;
  readonly at: number;
}

export interface Paced {
  /** How many of the events, from the first, are to be played by now. */
  readonly ready: number;
  /** Milliseconds until the next one is; absent if there is none. */
  readonly wait?: number;
  readonly pace?: Pace;
}

/**
 * Which events are to be played by now, where the gaps between them are as they were, divided by `speed`. One whose time is
 * before that of the event before it is played with it.
 */
export function paced(
  events: readonly RecordedEvent[],
  { speed, by = 'receivedAt' }: { readonly speed: number; readonly by?: TimeOf | undefined },
  begun: Pace | undefined,
  now: number,
): Paced {
  const [first] = events;
  if (!first) return { ready: 0, ...(begun && { pace: begun }) };
  const timeOf = ({ metadata }: RecordedEvent): number => Date.parse(metadata[by]);
  const pace = begun ?? { from: timeOf(first), at: now };
  const dueAt = (event: RecordedEvent): number => pace.at + (timeOf(event) - pace.from) / speed;
  const next = events.findIndex((event) => dueAt(event) > now);
  if (next < 0) return { ready: events.length, pace };
  return { ready: next, wait: Math.ceil(dueAt(events[next]!) - now), pace };
}
