import { isObject, pointerToken } from '#libs/kernel/src/json.js';

import { InputShape, type InputSpec, type InputSpecs, problemOfInput, problemOfPattern } from './inputs.js';
import type { SourceProblems } from './source-problems.js';

/** Reads the declaration of inputs, by name. What is wrong is left out, and reported. */
export function readInputs(given: unknown, pointer: string, problems: SourceProblems): InputSpecs {
  const inputs: Record<string, InputSpec> = {};
  for (const [name, spec] of Object.entries(isObject(given) ? given : {})) {
    const at = `${pointer}/${pointerToken(name)}`;
    if (!/^[A-Za-z_][A-Za-z0-9_]{0,63}$/.test(name))
      problems.add(at, 'workflow.bad_value', 'The name of an input must have letters, digits and _ only.', true);
    if (!problems.fits(InputShape, spec, at)) continue;
    const input = spec as InputSpec;
    inputs[name] = input;
    const problem = problemOfSpec(input);
    if (problem) problems.add(problem.key === '' ? at : `${at}/${problem.key}`, 'workflow.bad_value', problem.detail);
  }
  return inputs;
}

/** Which types have bounds, and what is bound. */
const BOUND: Readonly<Partial<Record<InputSpec['type'], string>>> = {
  number: 'value',
  string: 'length',
  list: 'length',
};

/** What the shape cannot say. */
function problemOfSpec(input: InputSpec): { readonly key: string; readonly detail: string } | undefined {
  const { type, options, min, max, pattern, default: preset } = input;
  if ((type === 'select') !== (options !== undefined))
    return { key: '', detail: 'A select must have "options", and no other type may have them.' };
  for (const [key, value] of Object.entries({ min, max })) {
    if (value === undefined) continue;
    if (BOUND[type] === undefined) return { key, detail: `"${key}" must be used with number, string or list only.` };
    if (BOUND[type] === 'length' && !(Number.isInteger(value) && value >= 0))
      return { key, detail: 'Must be a whole number from 0: it is a length.' };
  }
  if (min !== undefined && max !== undefined && min > max)
    return { key: 'max', detail: `Must not be less than "min", which is ${min}.` };
  if (pattern !== undefined && type !== 'string')
    return { key: 'pattern', detail: '"pattern" must be used with string only.' };
  const malformed = pattern === undefined ? undefined : problemOfPattern(pattern);
  if (malformed !== undefined) return { key: 'pattern', detail: malformed };
  const unfit = preset === undefined ? undefined : problemOfInput(input, preset);
  return unfit === undefined ? undefined : { key: 'default', detail: unfit };
}
