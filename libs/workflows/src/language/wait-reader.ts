import { tryParseDuration } from '#libs/kernel/src/durations.js';
import { isObject } from '#libs/kernel/src/json.js';

import type { Common, WaitStep } from './definition.js';
import type { Expressions, Visible } from './expressions-of.js';
import { isTemplate, isTime } from './literals.js';
import type { Report } from './report.js';

/** Reads `wait: { for }` or `wait: { until }`. */
export function readWait(
  wait: unknown,
  place: string,
  visible: Visible,
  common: Common,
  expressions: Expressions,
  report: Report,
): WaitStep | undefined {
  if (!isObject(wait)) return undefined;
  if (Object.hasOwn(wait, 'for') === Object.hasOwn(wait, 'until'))
    report.at(place, 'workflow.bad_value', 'A wait has either "for" (a duration) or "until" (a time, RFC 3339).');
  const { for: duration, until } = wait;
  if (typeof duration === 'string' && !isTemplate(duration) && tryParseDuration(duration) === undefined)
    report.at(`${place}/for`, 'workflow.bad_value', `"${duration}" is not a duration: write one such as 30s or 5m.`);
  if (typeof until === 'string' && !isTemplate(until) && !isTime(until))
    report.at(
      `${place}/until`,
      'workflow.bad_value',
      `"${until}" is not a time: write RFC 3339, such as 2026-11-20T09:00:00Z.`,
    );
  const template = (key: 'for' | 'until') =>
    typeof wait[key] === 'string' ? expressions.template(wait[key], `${place}/${key}`, visible) : undefined;
  return { ...common, kind: 'wait', for: template('for'), until: template('until') };
}
