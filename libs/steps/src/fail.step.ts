import { type Static, Type } from '@sinclair/typebox';

import { defineStep, StepError } from '#libs/plugin-sdk/src/define-step.js';

const ErrorTypes = Type.Union(
  [
    Type.Literal('configuration'),
    Type.Literal('validation'),
    Type.Literal('expression'),
    Type.Literal('authentication'),
    Type.Literal('timeout'),
    Type.Literal('communication'),
    Type.Literal('runtime'),
  ],
  { description: 'Default runtime.' },
);
const input = Type.Object(
  {
    code: Type.String({
      pattern: '^[a-z][a-z0-9_-]*(\\.[a-z0-9_-]+)*$',
      maxLength: 100,
      description: 'A stable code, such as order.not_paid: what `retry`, `onFailure` and later steps compare.',
    }),
    message: Type.String({ minLength: 1, maxLength: 2000, description: 'For people: what is wrong and what to do.' }),
    type: Type.Optional(ErrorTypes),
    output: Type.Optional(Type.Unknown({ description: 'What `steps.<id>.output` shows.' })),
  },
  { additionalProperties: false },
);

/** Fails with an error that the workflow names: what it finds wrong itself is treated as any other failure. */
export const fail = defineStep({
  name: 'fail',
  description: 'Fails with an error of your own.',
  inputSchema: input,
  effects: false,
  keepsDigits: true,
  run({ code, message, type = 'runtime', output = null }: Static<typeof input>): never {
    throw new StepError({ code, message, type, output, retryable: false });
  },
});
