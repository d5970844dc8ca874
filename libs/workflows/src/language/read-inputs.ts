import { isObject, pointerToken } from '#libs/kernel/src/json.js';

import { InputShape, type InputSpec, type InputSpecs, problemOfInput } from './inputs.js';
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
    if ((input.type === 'select') !== (input.options !== undefined))
      problems.add(at, 'workflow.bad_value', 'A select must have "options", and no other type may have them.');
    else if (input.default !== undefined) {
      const problem = problemOfInput(input, input.default);
      if (problem) problems.add(`${at}/default`, 'workflow.bad_value', problem);
    }
  }
  return inputs;
}
