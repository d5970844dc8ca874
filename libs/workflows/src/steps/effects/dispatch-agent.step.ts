import { Type } from '@sinclair/typebox';

import { StepError } from '#libs/plugin-sdk/src/define-step.js';

import { Detached, mayPass, requestedBy, requestStep } from './request-step.js';

/** An execution of an agent. It is cancelled when the run ends or is cancelled before it. */
export const dispatchAgentStep = requestStep({
  name: 'dispatch_agent',
  description: 'Starts an execution of an agent and waits for its result.',
  inputSchema: Type.Object(
    {
      agent: Type.String({ minLength: 1, description: 'Its id or name.', refersTo: 'agent' }),
      input: Type.Optional(Type.Unknown({ description: 'Any JSON.' })),
      detached: Detached,
    },
    { additionalProperties: false },
  ),
  outputSchema: Type.Object({
    executionId: Type.String(),
    output: Type.Unknown(),
    requestId: Type.Optional(Type.String()),
  }),
  request: 'agent.requested',
  requestData: ({ agent, input, detached }, decision) => ({
    ...requestedBy(decision),
    agent: String(agent),
    input: input ?? null,
    ...(detached !== true && { isChild: true }),
    ...(decision.start.trigger.kind === 'schedule' && { scheduled: true }),
  }),
  outcomes: ['agent.finished', 'agent.failed', 'agent.cancelled'],

  output(outcome) {
    const { executionId } = outcome.data;
    if (outcome.type === 'agent.finished') return { executionId, output: outcome.data.output };
    if (outcome.type === 'agent.cancelled')
      throw new StepError({
        code: 'agent.cancelled',
        message: `The execution ${executionId} was cancelled.`,
        retryable: false,
        output: { executionId },
      });
    const { agent, error, status } = outcome.data;
    throw new StepError({
      code: error.code,
      ...(status === 'timeout' && { type: 'timeout' as const }),
      message: `The execution ${executionId} of agent "${agent}" failed: ${error.message}`,
      retryable: status === 'timeout' || mayPass(error.code),
      output: { executionId, error },
    });
  },
});
