import { indexKey } from '#libs/kernel/src/text.js';

import type { CompiledBurst, CompiledThrottle } from '../language/definition.js';

/** How much of a throttle's limit is used. A window begins with the first match after the window before has ended. */
export interface ThrottleWindow {
  readonly ruleId: string;
  /** At most 200 characters: longer keys are hashed by the caller. */
  readonly key: string;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly used: number;
}

export interface Taken {
  readonly allowed: boolean;
  /** As it is after this match. */
  readonly window: ThrottleWindow;
}

/** A key as it is kept. */
export const keptKey = (key: string): string => indexKey('throttle', key);

export const windowId = (ruleId: string, key: string): string => `${ruleId} ${key}`;

/**
 * Whether a match at `time` is within the limit, and the window after it. Time is the event's, never the clock's: the
 * same events give the same answers when they are looked at again. Pure.
 */
export function takeWithin(
  window: ThrottleWindow | undefined,
  { limit, perMs }: Pick<CompiledThrottle, 'limit' | 'perMs'>,
  ruleId: string,
  key: string,
  time: number,
): Taken {
  const isOver = window === undefined || time >= window.startedAt + perMs;
  const current = isOver ? { ruleId, key, startedAt: time, used: 0 } : window;
  if (current.used >= limit) return { allowed: false, window: current };
  return { allowed: true, window: { ...current, used: current.used + 1 } };
}

/** Whether a match at `time` is the first of a burst. Each match makes the burst longer, those that are held back too. Pure. */
export function takeFirst(
  window: ThrottleWindow | undefined,
  { quietMs }: Pick<CompiledBurst, 'quietMs'>,
  ruleId: string,
  key: string,
  time: number,
): Taken {
  const isOver = window === undefined || time >= window.startedAt + quietMs;
  const startedAt = Math.max(time, window?.startedAt ?? time);
  return { allowed: isOver, window: { ruleId, key, startedAt, used: 1 } };
}
