import type { FailedCondition as Failure } from '#libs/events/src/shapes/rule-trial-shape.js';
import { excerpt } from '#libs/kernel/src/text/excerpt.js';

import type { Batch, BurstControl, Throttle } from './controls.js';

/** Why a match did not act, in the form of a condition that decided against it. */

export const heldByBurst = ({ kind, quiet }: Pick<BurstControl, 'kind' | 'quiet'>, key: string): Failure => ({
  pointer: `/${kind}`,
  condition:
    kind === 'once'
      ? `is the first of a burst, which ends after ${quiet} without a match`
      : `is the last of a burst, which ends after ${quiet} without a match`,
  field: `${kind}.key`,
  actual: excerpt(key),
  expected:
    kind === 'once' ? `no match with this key for ${quiet} before` : `no match with this key for ${quiet} after`,
});

export const heldByThrottle = ({ limit, per }: Pick<Throttle, 'limit' | 'per'>, key: string): Failure => ({
  pointer: '/throttle',
  condition: `is among the first ${limit} in ${per}`,
  field: 'throttle.key',
  actual: excerpt(key),
  expected: `fewer than ${limit} matches with this key before`,
});

export const heldByBatch = (
  { size, timeout }: Pick<Batch, 'size' | 'timeout'>,
  key: string,
  count: number,
): Failure => ({
  pointer: '/batch',
  condition: `completes a batch of ${size}, or is in it after ${timeout}`,
  field: 'batch.key',
  actual: excerpt(key),
  expected: `${size} matches with this key; this is number ${count}`,
});
