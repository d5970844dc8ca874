import { Type } from '@sinclair/typebox';

import { got } from '#libs/events/src/shapes/shape-check.js';
import type { CompiledTemplate } from '#libs/expressions/src/template.js';
import { DURATION_IN_WORDS, tryParseDuration } from '#libs/kernel/src/time/durations.js';
import { isObject } from '#libs/kernel/src/json.js';
import { StepError } from '#libs/plugin-sdk/src/define-step.js';

import { closed, described, stepShape, Template } from '../../language/fields.js';
import { isTemplate, isTime, TIME_IN_WORDS } from '../../language/literals.js';
import type { KeywordKind, StepDecision } from '../kind/step-kind.js';
import { evaluating } from '../kind/step-input.js';

interface WaitFields {
  /** A duration. */
  readonly for: CompiledTemplate | undefined;
  /** A time, RFC 3339. */
  readonly until: CompiledTemplate | undefined;
}

/** Lets time pass: a timer in the log, and nothing while it lasts. */
export const waitStep: KeywordKind<WaitFields> = {
  form: 'keyword',
  name: 'wait',
  shape: stepShape(
    {
      wait: closed(
        {
          for: Type.Optional(described(Template, 'A duration, such as 5m.')),
          until: Type.Optional(described(Template, 'A time, RFC 3339.')),
        },
        '`for` a duration, or `until` a time.',
      ),
    },
    'Waits for a time. Uses no resources while waiting, and survives restarts.',
  ),
  outputSchema: Type.Object({ until: Type.String() }),
  pace: 'lasting',

  read({ wait }, { pointer, visible, expressions, problems }) {
    const at = `${pointer}/wait`;
    const fields = isObject(wait) ? wait : {};
    const { for: duration, until } = fields;
    if (isObject(wait) && Object.hasOwn(wait, 'for') === Object.hasOwn(wait, 'until'))
      problems.add(
        at,
        'workflow.bad_value',
        'A wait must have either "for" (a duration) or "until" (a time, RFC 3339).',
      );
    if (typeof duration === 'string' && !isTemplate(duration) && tryParseDuration(duration) === undefined)
      problems.add(`${at}/for`, 'workflow.bad_value', `Must be ${DURATION_IN_WORDS}. ${got(duration)}`);
    if (typeof until === 'string' && !isTemplate(until) && !isTime(until))
      problems.add(`${at}/until`, 'workflow.bad_value', `Must be ${TIME_IN_WORDS}. ${got(until)}`);
    const template = (key: 'for' | 'until') =>
      typeof fields[key] === 'string' ? expressions.template(fields[key], `${at}/${key}`, visible) : undefined;
    return { for: template('for'), until: template('until') };
  },

  decide(step, decision) {
    if (decision.open?.timer === undefined) decision.setTimer('wait', lengthOf(step, decision));
    return decision.isDue('wait') ? decision.completed({ until: decision.open!.timer!.at }) : 'open';
  },
};

/** Milliseconds; 0 for a time in the past. */
function lengthOf(step: WaitFields, decision: StepDecision): number {
  const given = evaluating(() => (step.for ?? step.until)!.render(decision.scope()));
  const text = typeof given === 'string' ? given.trim() : '';
  if (step.for === undefined && isTime(text)) return Math.max(0, Date.parse(text) - decision.now.getTime());
  const length = step.for === undefined ? undefined : tryParseDuration(text);
  if (length !== undefined) return length;
  const expected = step.for ? DURATION_IN_WORDS : TIME_IN_WORDS;
  throw new StepError({
    code: 'wait.bad_time',
    message: `The wait must be ${expected}. ${got(given)}`,
    retryable: false,
  });
}
