import { type Static, Type } from '@sinclair/typebox';

import { type Problem, Rejected } from '#libs/kernel/src/errors.js';
import { isNumber, scalarKey } from '#libs/kernel/src/text/exact-json.js';
import { type Json, pointerToken } from '#libs/kernel/src/json.js';
import { suggestion } from '#libs/kernel/src/text/nearest.js';

import { closed } from './fields.js';

/** One input of a workflow, as its trigger declares it. */
export const InputShape = closed(
  {
    type: Type.Union([Type.Literal('string'), Type.Literal('number'), Type.Literal('boolean'), Type.Literal('select')]),
    description: Type.Optional(Type.String({ description: 'For people.' })),
    required: Type.Optional(Type.Boolean()),
    default: Type.Optional(Type.Unknown()),
    options: Type.Optional(
      Type.Array(Type.Union([Type.String(), Type.Number()]), {
        minItems: 1,
        maxItems: 200,
        description: 'Of a select.',
      }),
    ),
  },
  'One input.',
);
export type InputSpec = Static<typeof InputShape>;
export type InputSpecs = Readonly<Record<string, InputSpec>>;

interface Triggered {
  readonly triggers: readonly { readonly inputs?: InputSpecs }[];
}

/** The declared inputs of a workflow; `undefined` if no trigger of it asks for any. */
export const declaredInputs = ({ triggers }: Triggered): InputSpecs | undefined =>
  triggers.find(({ inputs }) => inputs !== undefined)?.inputs;

/** Why a value is not right for an input. */
export function problemOfInput(spec: InputSpec, value: unknown): string | undefined {
  if (spec.type === 'select')
    return (spec.options as readonly unknown[]).some((option) => scalarKey(option) === scalarKey(value))
      ? undefined
      : `Must be one of ${spec.options!.join(', ')}.`;
  return (spec.type === 'number' ? isNumber(value) : typeof value === spec.type)
    ? undefined
    : `Must be a ${spec.type}.`;
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
