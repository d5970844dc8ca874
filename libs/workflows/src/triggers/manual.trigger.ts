import { Type } from '@sinclair/typebox';

import type { Trigger } from '../language/definition.js';
import { closed } from '../language/fields.js';
import { InputShape, type InputSpecs } from '../language/inputs.js';
import { readInputs } from '../language/read-inputs.js';
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
            'Inputs by name: `type` (`string`, `number`, `boolean`, `select` with `options`, `list`, `object`), `description`, `required`, `default`, `min`, `max`, `pattern`.',
          expected: 'an object of names and inputs',
          inEditors: Type.Record(Type.String(), InputShape),
        }),
      ),
    },
    'Starts a run on request.',
  ),
  isSingle: true,

  read(value, pointer, problems) {
    return { type: 'manual', inputs: readInputs(value['inputs'], `${pointer}/inputs`, problems) };
  },
};
