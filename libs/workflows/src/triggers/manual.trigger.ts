import { Type } from '@sinclair/typebox';

import { pointerToken } from '#libs/kernel/src/json.js';

import type { Trigger } from '../language/definition.js';
import { closed } from '../language/fields.js';
import { InputShape, type InputSpec, type InputSpecs, problemOfInput } from '../language/inputs.js';
import type { TriggerKind } from './trigger-kind.js';

export interface ManualTrigger extends Trigger {
  readonly inputs: InputSpecs;
}

/** Lets people and programs start a run, and asks them for its inputs. */
export const manualTrigger: TriggerKind<ManualTrigger> = {
  name: 'manual',
  shape: closed(
    {
      type: Type.Literal('manual'),
      inputs: Type.Optional(
        Type.Record(Type.String(), Type.Unknown(), {
          description:
            'Inputs by name: `type` (`string`, `number`, `boolean`, `select` with `options`), `description`, `required`, `default`.',
          expected: 'an object of names and inputs',
          inEditors: Type.Record(Type.String(), InputShape),
        }),
      ),
    },
    'Starts a run on request.',
  ),
  isSingle: true,

  read(value, pointer, problems) {
    const inputs: Record<string, InputSpec> = {};
    for (const [name, spec] of Object.entries((value['inputs'] ?? {}) as Record<string, unknown>)) {
      const at = `${pointer}/inputs/${pointerToken(name)}`;
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
    return { type: 'manual', inputs };
  },
};
