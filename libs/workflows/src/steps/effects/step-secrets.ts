import { maskerOf } from '#libs/access/src/named-secrets/secret-values.js';
import { withSecrets } from '#libs/events/src/secrets/secret-places.js';
import { isObject } from '#libs/kernel/src/json.js';
import type { Masker } from '#libs/kernel/src/text/masking.js';
import { StepError } from '#libs/plugin-sdk/src/define-step.js';

import { checkInput, plain } from '../kind/step-input.js';
import type { Attempt, StepResult } from '../kind/step-kind.js';

/** What a step is given, and what takes secrets out of what it gives. */
export interface GivenSecrets {
  readonly input: unknown;
  readonly mask: Masker;
}

/**
 * The input of an attempt with its secrets.
 * @throws StepError `secret.unknown`, or `step.bad_input` where a secret does not fit the schema of the step.
 */
export function givenSecrets(
  { input, secrets: places, uses }: Attempt,
  values: ReadonlyMap<string, string>,
): GivenSecrets {
  const mask = maskerOf(values);
  const unknown = places.find(({ name }) => !values.has(name));
  if (unknown) throw unknownSecret(unknown.name);
  const filled = withSecrets(input, places, values);
  try {
    if (places.length > 0) checkInput(uses, filled);
  } catch (error) {
    throw withoutSecrets(error, mask);
  }
  return { input: filled, mask };
}

export const unknownSecret = (name: string): StepError =>
  new StepError({
    code: 'secret.unknown',
    type: 'configuration',
    message: `There is no secret "${name}". Set it with millrace secret set ${name} or PUT /api/v1/secrets/${name}, then run the workflow again.`,
    retryable: false,
  });

/** What a step gave or threw, without secrets. */
export function maskedResult(mask: Masker, result: StepResult): StepResult {
  if ('thrown' in result) return { thrown: withoutSecrets(result.thrown, mask) };
  const { output } = result;
  try {
    // A value of a class is not looked into: what is masked is what the log would keep of it.
    const isPlain = !isObject(output) && !Array.isArray(output);
    return { output: mask.value(isPlain ? output : plain(output, 'step.output_too_large')) };
  } catch (thrown) {
    return { thrown };
  }
}

function withoutSecrets(error: unknown, mask: Masker): unknown {
  if (error instanceof StepError) {
    const { code, type, retryable, retryAfter } = error;
    return new StepError({
      code,
      message: mask.text(error.message),
      retryable,
      output: mask.value(error.output),
      ...(type && { type }),
      ...(retryAfter !== undefined && { retryAfter }),
    });
  }
  if (error instanceof Error) {
    error.message = mask.text(error.message);
    return error;
  }
  return mask.value(error);
}
