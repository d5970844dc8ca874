import { Rejected } from '#libs/kernel/src/errors.js';
import { parseAsWritten, rounded, stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { isObject } from '#libs/kernel/src/json.js';
import { StepError } from '#libs/plugin-sdk/src/define-step.js';

import type { UsesFields } from '../../language/definition.js';
import { workflowProblems } from '../../language/source-problems.js';

/** Most bytes of one input or output of a step, as JSON. One append holds at most 1 MiB. */
export const MAX_VALUE_BYTES = 256 * 1024;

/**
 * The input of a step with `uses`: templates filled in, expressions evaluated, and all checked against the step's schema.
 * @throws StepError
 */
export function inputOf({ uses, input }: UsesFields, scope: unknown): Record<string, unknown> {
  return evaluating(() => {
    const rendered = input.template.render(scope) as Record<string, unknown>;
    const checked: Record<string, unknown> = { ...rendered };
    const filled: Record<string, unknown> = { ...rendered };
    for (const [key, expression] of Object.entries(input.expressions)) {
      checked[key] = expression.source;
      filled[key] = expression.evaluate(scope);
    }
    const [problem] = workflowProblems(uses.inputSchema, rounded(checked));
    if (problem)
      throw new StepError({
        code: 'step.bad_input',
        message: `The input of the step is invalid: with${problem.pointer.replaceAll('/', '.')}: ${problem.detail}`,
        retryable: false,
      });
    return plain(filled, 'step.input_too_large') as Record<string, unknown>;
  });
}

/**
 * A value as the log will give it back: what JSON cannot hold is gone, and it is not too large.
 * @throws StepError
 */
export function plain(value: unknown, tooLarge: string): unknown {
  let text: string | undefined;
  try {
    text = stringifyJson(value ?? null);
  } catch {
    text = undefined;
  }
  if (text === undefined)
    throw new StepError({ code: 'step.not_json', message: 'The value cannot be written as JSON.', retryable: false });
  if (Buffer.byteLength(text) > MAX_VALUE_BYTES)
    throw new StepError({
      code: tooLarge,
      message: `The value is larger than ${MAX_VALUE_BYTES / 1024} KiB. Return less.`,
      retryable: false,
    });
  return isObject(value) || Array.isArray(value) ? parseAsWritten(text) : (value ?? null);
}

/** Expressions that ask for too much fail the step that they belong to. */
export function evaluating<T>(evaluate: () => T): T {
  try {
    return evaluate();
  } catch (error) {
    if (error instanceof Rejected) throw new StepError({ code: error.code, message: error.message, retryable: false });
    throw error;
  }
}
