import { Rejected } from '#libs/kernel/src/errors.js';
import { beginning } from '#libs/kernel/src/text/text.js';
import { type ErrorType, StepError } from '#libs/plugin-sdk/src/define-step.js';

import type { RunFailure } from './step-state.js';

/**
 * An error of a step, as the run records it: a StepError, or what the platform refused to do for the step, such as sending
 * an invalid header. Anything else is a mistake in the step's own code.
 */
export function failureOf(error: unknown, path: string): RunFailure {
  if (error instanceof StepError || error instanceof Rejected) {
    const type = error instanceof StepError ? error.type : undefined;
    return { ...failure(error.code, error.message, path), ...(type && { type }) };
  }
  const message = error instanceof Error ? error.message : String(error);
  return failure('step.bug', beginning(`The step failed with an unexpected error: ${message}`, 2000), path);
}

/** @param path of the step; absent where the run itself failed. */
export const failure = (code: string, message: string, path?: string): RunFailure => ({
  type: TYPES.find(([codes]) => codes.test(code))?.[1] ?? 'runtime',
  code,
  message,
  ...(path !== undefined && { path }),
});

/** What the codes of the platform say. The first that fits counts. */
const TYPES: readonly (readonly [RegExp, ErrorType])[] = [
  [/^expression\./, 'expression'],
  [/(^|[._])timeout$/, 'timeout'],
  [/(bad_input|bad_time|not_json|no_list|too_large|loop\.too_long)$|^emit\./, 'validation'],
  [/^egress\.|bad_url$|refused_address$|unknown_workflow$|(unknown|disabled)_integration$|no_secret$/, 'configuration'],
  [/^http\./, 'communication'],
];
