import { Rejected } from '#libs/kernel/src/errors.js';
import { beginning } from '#libs/kernel/src/text/text.js';
import { StepError } from '#libs/plugin-sdk/src/define-step.js';

import type { RunFailure } from './step-state.js';

/**
 * An error of a step, as the run records it: a StepError, or what the platform refused to do for the step, such as sending
 * an invalid header. Anything else is a mistake in the step's own code.
 */
export function failureOf(error: unknown, path: string): RunFailure {
  if (error instanceof StepError || error instanceof Rejected)
    return { code: error.code, message: error.message, path };
  const message = error instanceof Error ? error.message : String(error);
  return { code: 'step.bug', message: beginning(`The step failed with an unexpected error: ${message}`, 2000), path };
}
