import { Type } from '@sinclair/typebox';

import { defineStep, type StepDefinition, StepError } from '#libs/plugin-sdk/src/define-step.js';

import { StepLibrary } from '../src/steps/step-library.js';

/** Steps of specs: they come through the same door as everybody's. */
const call = defineStep({
  name: 'call',
  description: 'Calls something.',
  inputSchema: Type.Object(
    { to: Type.String({ minLength: 1 }), times: Type.Optional(Type.Integer({ minimum: 0 })) },
    { additionalProperties: false },
  ),
  outputSchema: Type.Object({ status: Type.Integer() }),
  effects: true,
  async run({ to }, { http, idempotencyKey, timeoutMs, signal, log }) {
    log('calling', { to });
    const headers = { 'idempotency-key': idempotencyKey };
    const answer = await http.request({ method: 'POST', url: to, headers, timeoutMs, signal });
    const status = answer.status ?? null;
    if (status === 200) return { status };
    throw new StepError({
      message: `It answered ${status}.`,
      code: 'call.failed',
      retryable: true,
      output: { status },
    });
  },
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

export const testDefinitions = [call, echo, compute] as readonly StepDefinition[];
export const testSteps = new StepLibrary(testDefinitions, ['github', 'gitlab']);
