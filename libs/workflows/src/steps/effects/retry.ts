import { backoff } from '#libs/kernel/src/time/backoff.js';
import { uuid5 } from '#libs/kernel/src/ids.js';
import { noSooner } from '#libs/kernel/src/time/retry-after.js';

import type { RetryPolicy } from '../../language/definition.js';

/**
 * Milliseconds between a failed attempt and the next. Jitter is drawn from the cause, not at random, so that a decision
 * taken twice is the same decision.
 * @param attempt the one that failed, from 1.
 * @param retryAfter seconds that the other side asked to wait; never shortened.
 */
export function delayAfter(
  policy: RetryPolicy,
  attempt: number,
  retryAfter: number | undefined,
  ...cause: readonly string[]
): number {
  const max = Math.max(policy.maxDelayMs, policy.delayMs);
  const tries = policy.backoff === 'exponential' ? attempt : 1;
  const random = policy.jitter ? fraction(...cause, String(attempt)) : 1;
  return noSooner(backoff(tries, { first: policy.delayMs, max }, random), retryAfter);
}

/** From 0 to 1, evenly, the same for the same cause. */
const fraction = (...cause: readonly string[]): number => parseInt(uuid5('jitter', ...cause).slice(0, 8), 16) / 2 ** 32;
