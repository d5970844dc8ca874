import { uuid5 } from '#libs/kernel/src/ids.js';

import type { RetryPolicy } from '../language/definition.js';

const MAX_RETRY_AFTER_MS = 86_400_000;

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
  const grown = policy.backoff === 'exponential' ? policy.delayMs * 2 ** Math.min(attempt - 1, 40) : policy.delayMs;
  const capped = Math.min(grown, Math.max(policy.maxDelayMs, policy.delayMs));
  const share = policy.jitter ? 0.5 + fraction(...cause, String(attempt)) / 2 : 1;
  return Math.max(Math.round(capped * share), Math.min((retryAfter ?? 0) * 1000, MAX_RETRY_AFTER_MS));
}

/** From 0 to 1, evenly, the same for the same cause. */
const fraction = (...cause: readonly string[]): number => parseInt(uuid5('jitter', ...cause).slice(0, 8), 16) / 2 ** 32;
