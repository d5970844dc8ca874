import { type Problem, Rejected } from '#libs/kernel/src/errors.js';
import { type Json, pointerToken } from '#libs/kernel/src/json.js';
import { suggestion } from '#libs/kernel/src/nearest.js';

import type { Definition, InputSpec } from './definition.js';

/** The declared inputs of a workflow; `undefined` if it has no manual trigger. */
export function declaredInputs(definition: Definition): Readonly<Record<string, InputSpec>> | undefined {
  for (const trigger of definition.triggers) if (trigger.type === 'manual') return trigger.inputs;
  return undefined;
}

/** Why a value is not right for an input. */
export function problemOfInput(spec: InputSpec, value: Json): string | undefined {
  if (spec.type === 'select')
    return (spec.options as readonly Json[]).includes(value)
      ? undefined
      : `Must be one of ${spec.options!.join(', ')}.`;
  if (typeof value === spec.type) return undefined;
  return `Must be a ${spec.type}.`;
}

/**
 * What a run gets: what was given, and the defaults of the rest.
 * @throws Rejected `run.bad_inputs` with a problem for each input that is wrong, missing or not declared.
 */
export function inputsOf(
  declared: Readonly<Record<string, InputSpec>> | undefined,
  given: Readonly<Record<string, unknown>>,
  pointer = '/inputs',
): Record<string, unknown> {
  if (declared === undefined) return { ...given };
  const problems: Problem[] = [];
  const inputs: Record<string, unknown> = {};
  const names = Object.keys(declared);
  for (const name of Object.keys(given))
    if (!Object.hasOwn(declared, name))
      problems.push({
        pointer: `${pointer}/${pointerToken(name)}`,
        detail: `There is no input "${name}". ${suggestion(name, names)}Inputs: ${names.join(', ') || 'none'}.`,
      });
  for (const [name, spec] of Object.entries(declared)) {
    const value = Object.hasOwn(given, name) ? given[name] : spec.default;
    if (value === undefined || value === null) {
      if (spec.required)
        problems.push({ pointer: `${pointer}/${pointerToken(name)}`, detail: 'This input is required.' });
      inputs[name] = null;
      continue;
    }
    const problem = problemOfInput(spec, value as Json);
    if (problem) problems.push({ pointer: `${pointer}/${pointerToken(name)}`, detail: problem });
    else inputs[name] = value;
  }
  if (problems.length > 0)
    throw new Rejected('invalid', 'run.bad_inputs', 'The inputs do not fit the manual trigger of the workflow.', {
      problems,
    });
  return inputs;
}

/** The defaults alone: what a run that an event started sees. */
export function defaultInputs(definition: Definition): Record<string, unknown> {
  const declared = declaredInputs(definition) ?? {};
  return Object.fromEntries(Object.entries(declared).map(([name, spec]) => [name, spec.default ?? null]));
}
