import { got } from '#libs/events/src/shapes/shape-check.js';
import type { CompiledTemplate } from '#libs/expressions/src/template.js';
import { DURATION_IN_WORDS, tryParseDuration } from '#libs/kernel/src/time/durations.js';
import { StepError } from '#libs/plugin-sdk/src/define-step.js';

import { isTemplate } from '../../language/literals.js';
import type { Reading } from '../../language/vocabulary.js';
import { evaluating } from '../kind/step-input.js';

/** Reads the `timeout` of a wait: a duration, or a template that gives one. */
export function readLimit(value: unknown, pointer: string, { problems, expressions, visible }: Reading) {
  if (typeof value !== 'string') return undefined;
  if (!isTemplate(value) && !tryParseDuration(value))
    problems.add(pointer, 'workflow.bad_value', `Must be ${DURATION_IN_WORDS}, longer than 0. ${got(value)}`);
  return expressions.template(value, pointer, visible);
}

/** `onTimeout` of a wait that has no time limit says nothing. */
export function readOnTimeout(
  { timeout, onTimeout }: Readonly<Record<string, unknown>>,
  at: string,
  { problems }: Pick<Reading, 'problems'>,
): 'fail' | 'continue' {
  if (onTimeout !== undefined && timeout === undefined)
    problems.suspect(() =>
      problems.warn(
        `${at}/onTimeout`,
        'workflow.no_timeout',
        'A wait without "timeout" has no time limit. Set "timeout".',
      ),
    );
  return onTimeout === 'continue' ? 'continue' : 'fail';
}

/** Milliseconds. */
export function lengthOf(limit: CompiledTemplate, scope: unknown): number {
  const given = evaluating(() => limit.render(scope));
  const length = typeof given === 'string' ? tryParseDuration(given.trim()) : undefined;
  if (length) return length;
  throw new StepError({
    code: 'wait.bad_time',
    message: `"timeout" must be ${DURATION_IN_WORDS}, longer than 0. ${got(given)}`,
    retryable: false,
  });
}
