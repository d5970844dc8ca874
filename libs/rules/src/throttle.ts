import type { KnownRule } from './known-rule.js';

/** How much of a throttle's limit is used. A window begins with the first match after the window before has ended. */
export interface ThrottleWindow {
  readonly ruleId: string;
  /** At most 200 characters: longer keys are hashed by the caller. */
  readonly key: string;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly used: number;
}

export const windowId = (ruleId: string, key: string): string => `${ruleId} ${key}`;

/**
 * Whether a match at `time` is within the limit, and the window after it. Time is the event's, never the clock's: the
 * same events give the same answers when they are looked at again. Pure.
 */
export function take(
  window: ThrottleWindow | undefined,
  rule: KnownRule,
  key: string,
  time: number,
): { readonly allowed: boolean; readonly window: ThrottleWindow } {
  const { limit, perMs } = rule.compiled.throttle!;
  const isOver = window === undefined || time >= window.startedAt + perMs;
  const current = isOver ? { ruleId: rule.id, key, startedAt: time, used: 0 } : window;
  if (current.used >= limit) return { allowed: false, window: current };
  return { allowed: true, window: { ...current, used: current.used + 1 } };
}
