import { Type } from '@sinclair/typebox';

import { defineStep, type StepDefinition } from '#libs/plugin-sdk/src/define-step.js';

import { StepLibrary } from '../src/step-library.js';

/** Steps of specs: they come through the same door as everybody's. */
const call = defineStep({
  name: 'call',
  description: 'Calls something.',
  inputSchema: Type.Object(
    { to: Type.String({ minLength: 1 }), times: Type.Optional(Type.Integer({ minimum: 0 })) },
    { additionalProperties: false },
  ),
  effects: true,
  run: () => Promise.resolve(null),
});

const echo = defineStep({
  name: 'echo',
  description: 'Gives back what it is given.',
  inputSchema: Type.Object({ value: Type.Unknown() }, { additionalProperties: false }),
  effects: false,
  run: ({ value }) => value,
});

const compute = defineStep({
  name: 'compute',
  description: 'Computes a value.',
  inputSchema: Type.Object(
    { expression: Type.Unsafe<unknown>({ type: 'string', format: 'jmespath' }) },
    { additionalProperties: false },
  ),
  effects: false,
  run: ({ expression }) => expression,
});

export const testSteps = new StepLibrary([call, echo, compute] as readonly StepDefinition[]);
