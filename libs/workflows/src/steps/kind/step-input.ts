import type { SecretPlace } from '#libs/events/src/secrets/secret-places.js';
import type { IsOpen } from '#libs/events/src/shapes/shape-check.js';
import { holdsMark, renderMarked, secretsIn, unmarked } from '#libs/expressions/src/template.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { parseAsWritten, rounded, stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { isObject } from '#libs/kernel/src/json.js';
import { StepError } from '#libs/plugin-sdk/src/define-step.js';

import type { NamedDefinition, UsesFields } from '../../language/definition.js';
import { workflowProblems } from '../../language/source-problems.js';

/** Most bytes of one input or output of a step, as JSON. One append holds at most 1 MiB. */
export const MAX_VALUE_BYTES = 256 * 1024;

export interface FilledInput {
  readonly input: Record<string, unknown>;
  /** Where secrets are put in when the step is done; `input` has their names there. */
  readonly secrets: readonly SecretPlace[];
}

/** The input of a step that takes no secrets. @throws StepError */
export const inputOf = (step: UsesFields, scope: unknown): Record<string, unknown> => filledInput(step, scope).input;

/**
 * The input of a step with `uses`: templates filled in, expressions evaluated, and all checked against the step's schema.
 * @throws StepError
 */
export function filledInput({ uses, input }: UsesFields, scope: unknown): FilledInput {
  return evaluating(() => {
    const rendered = renderMarked(input.template, scope) as Record<string, unknown>;
    const checked: Record<string, unknown> = { ...rendered };
    const filled: Record<string, unknown> = { ...rendered };
    for (const [key, expression] of Object.entries(input.expressions)) {
      checked[key] = expression.source;
      filled[key] = expression.evaluate(scope);
    }
    const takesSecrets = secretsIn(input.template).length > 0;
    checkInput(uses, checked, takesSecrets ? holdsMark : undefined);
    const { value, places } = takesSecrets ? unmarked(filled) : { value: filled, places: [] };
    return { input: plain(value, 'step.input_too_large') as Record<string, unknown>, secrets: places };
  });
}

/** @param isOpen tells values that are not known yet. @throws StepError */
export function checkInput({ inputSchema }: NamedDefinition, input: unknown, isOpen?: IsOpen): void {
  const [problem] = workflowProblems(inputSchema, rounded(input), '', isOpen);
  if (problem)
    throw new StepError({
      code: 'step.bad_input',
      message: `The input of the step is invalid: with${problem.pointer.replaceAll('/', '.')}: ${problem.detail}`,
      retryable: false,
    });
}

/**
 * A value as the log will give it back: what JSON cannot hold is gone, and it is not too large.
 * @throws StepError
 */
export function plain(value: unknown, tooLarge: string, measured?: (bytes: number) => void): unknown {
  let text: string | undefined;
  try {
    text = stringifyJson(value ?? null);
  } catch {
    text = undefined;
  }
  if (text === undefined)
    throw new StepError({ code: 'step.not_json', message: 'The value cannot be written as JSON.', retryable: false });
  const bytes = Buffer.byteLength(text);
  if (bytes > MAX_VALUE_BYTES)
    throw new StepError({
      code: tooLarge,
      message: `The value is larger than ${MAX_VALUE_BYTES / 1024} KiB. Return less.`,
      retryable: false,
    });
  measured?.(bytes);
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
