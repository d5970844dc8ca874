import { RE2JS } from 're2js';

import { InputShape, type InputSpec } from '#libs/events/src/shapes/input-shape.js';
import { messageOf, type Problem, Rejected } from '#libs/kernel/src/errors.js';
import { isNumber, scalarKey } from '#libs/kernel/src/text/exact-json.js';
import { isObject, type Json, pointerToken } from '#libs/kernel/src/json.js';
import { remember } from '#libs/kernel/src/remember.js';
import { suggestion } from '#libs/kernel/src/text/nearest.js';

export { InputShape, type InputSpec };
export type InputSpecs = Readonly<Record<string, InputSpec>>;

interface Triggered {
  readonly triggers: readonly { readonly inputs?: InputSpecs }[];
}

/** The declared inputs of a workflow; `undefined` if no trigger of it asks for any. */
export const declaredInputs = ({ triggers }: Triggered): InputSpecs | undefined =>
  triggers.find(({ inputs }) => inputs !== undefined)?.inputs;

/** Longest text that a pattern is asked about: each character costs time. */
const MAX_PATTERN_TEXT = 10_000;
const patternOf = remember((source) => RE2JS.compile(source));

/** Why a pattern cannot be used; `undefined` if it can. */
export function problemOfPattern(source: string): string | undefined {
  try {
    patternOf(source);
    return undefined;
  } catch (error) {
    return `Must be a regular expression without look-around and back-references (RE2): ${messageOf(error)}`;
  }
}

/** Why a value is not right for an input. */
export function problemOfInput(spec: InputSpec, value: unknown): string | undefined {
  switch (spec.type) {
    case 'select':
      return (spec.options as readonly unknown[]).some((option) => scalarKey(option) === scalarKey(value))
        ? undefined
        : `Must be one of ${spec.options!.join(', ')}.`;
    case 'number':
      return isNumber(value) ? outOfBounds(spec, Number(value), '') : 'Must be a number.';
    case 'boolean':
      return typeof value === 'boolean' ? undefined : 'Must be a boolean.';
    case 'list':
      return Array.isArray(value) ? outOfBounds(spec, value.length, ' entries') : 'Must be a list.';
    case 'object':
      return isObject(value) ? undefined : 'Must be an object.';
    case 'string':
      return typeof value === 'string' ? problemOfText(spec, value) : 'Must be a string.';
  }
}

function problemOfText(spec: InputSpec, text: string): string | undefined {
  const problem = outOfBounds(spec, text.length, ' characters');
  if (problem !== undefined || spec.pattern === undefined) return problem;
  if (text.length > MAX_PATTERN_TEXT) return `Must have at most ${MAX_PATTERN_TEXT} characters.`;
  return patternOf(spec.pattern).matcher(text).find() ? undefined : `Must match ${spec.pattern}.`;
}

/** @param unit of a length. */
function outOfBounds({ min, max }: InputSpec, size: number, unit: string): string | undefined {
  const verb = unit === '' ? 'be' : 'have';
  if (min !== undefined && size < min) return `Must ${verb} at least ${min}${unit}.`;
  if (max !== undefined && size > max) return `Must ${verb} at most ${max}${unit}.`;
  return undefined;
}

/**
 * The inputs of a run: what was given, and the defaults of the rest.
 * @throws Rejected `run.bad_inputs` with a problem for each input that is wrong, missing or not declared.
 */
export function inputsOf(
  declared: InputSpecs | undefined,
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
        problems.push({
          pointer: `${pointer}/${pointerToken(name)}`,
          detail: 'Must be given: this input is required.',
        });
      inputs[name] = null;
      continue;
    }
    const problem = problemOfInput(spec, value);
    if (problem) problems.push({ pointer: `${pointer}/${pointerToken(name)}`, detail: problem });
    else inputs[name] = value;
  }
  if (problems.length > 0)
    throw new Rejected('invalid', 'run.bad_inputs', 'The inputs do not match the manual trigger of the workflow.', {
      problems,
    });
  return inputs;
}

/** The defaults alone: what a run that an event started sees. */
export const defaultInputs = (definition: Triggered): Record<string, Json> =>
  Object.fromEntries(
    Object.entries(declaredInputs(definition) ?? {}).map(([name, spec]) => [name, (spec.default ?? null) as Json]),
  );
