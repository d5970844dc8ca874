import type { Failure } from '../language/condition.js';
import type { CompiledBurst, CompiledThrottle } from '../language/definition.js';
import { excerpt } from '#libs/kernel/src/text/excerpt.js';
import type { OpeningHours } from '../language/opening-hours.js';

/** Why a match did not act, in the form of a condition that decided against it. */

export const heldByWindow = (window: OpeningHours, time: Date): Failure => ({
  pointer: '/window',
  condition: `acts ${window.text}`,
  field: 'time at which the event was recorded',
  actual: window.at(time),
  expected: window.text,
});

export const heldByBurst = ({ kind, quiet }: Pick<CompiledBurst, 'kind' | 'quiet'>, key: string): Failure => ({
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

export const heldByThrottle = ({ limit, per }: Pick<CompiledThrottle, 'limit' | 'per'>, key: string): Failure => ({
  pointer: '/throttle',
  condition: `is among the first ${limit} in ${per}`,
  field: 'throttle.key',
  actual: excerpt(key),
  expected: `fewer than ${limit} matches with this key before`,
});

/** The rule was switched off, or archived, while it waited for the end of a burst. */
export const heldByDisabling: Failure = {
  pointer: '',
  condition: 'the rule is enabled when the burst ends',
  field: 'enabled',
  actual: false,
  expected: true,
};
