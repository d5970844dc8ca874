import { Type } from '@sinclair/typebox';

import { defineStep } from '#libs/plugin-sdk/src/define-step.js';

/**
 * Computes a value: `expression` is JMESPath over everything that the step can see (`event`, `inputs`, `steps` …), and
 * its value is the output.
 */
export const transform = defineStep({
  name: 'transform',
  description: 'Computes a value with JMESPath.',
  inputSchema: Type.Object(
    {
      expression: Type.Unsafe<unknown>({ type: 'string', format: 'jmespath', description: 'JMESPath over the scope.' }),
    },
    { additionalProperties: false },
  ),
  effects: false,
  keepsDigits: true,
  run: ({ expression }) => expression ?? null,
});
