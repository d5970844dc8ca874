import { Type } from '@sinclair/typebox';

import { StepError } from '#libs/plugin-sdk/src/define-step.js';

import { Detached, mayPass, requestedBy, requestStep } from './request-step.js';

/** A run of another workflow. Its id follows from the request, so there is one however often a process dies. */
export const workflowStep = requestStep({
  name: 'workflow',
  description: 'Starts a run of another workflow and waits for its outputs.',
  inputSchema: Type.Object(
    {
      workflow: Type.String({ minLength: 1, description: 'Its name.', refersTo: 'workflow' }),
      inputs: Type.Optional(
        Type.Record(Type.String(), Type.Unknown(), { description: 'As its trigger declares them.' }),
      ),
      detached: Detached,
      onParentClose: Type.Optional(
        Type.Union([Type.Literal('cancel'), Type.Literal('leave')], {
          description:
            '`cancel` (default): when this run ends before the other, or is cancelled, the other is cancelled. `leave`: it goes on, as one that is detached does.',
        }),
      ),
    },
    { additionalProperties: false },
  ),
  outputSchema: Type.Object({
    runId: Type.String(),
    outputs: Type.Unknown(),
    requestId: Type.Optional(Type.String()),
  }),
  request: 'workflow.requested',
  requestData: ({ workflow, inputs = {}, detached, onParentClose }, decision) => ({
    ...requestedBy(decision),
    workflow: String(workflow),
    inputs: inputs as Record<string, unknown>,
    ...(detached !== true && onParentClose !== 'leave' && { isChild: true }),
  }),
  outcomes: ['workflow.completed', 'workflow.failed', 'workflow.skipped', 'run.cancelled', 'action.refused'],

  output(outcome) {
    switch (outcome.type) {
      case 'workflow.completed':
        return { runId: outcome.data.runId, outputs: outcome.data.outputs };
      case 'workflow.failed': {
        const { runId, workflow, error } = outcome.data;
        throw new StepError({
          code: error.code,
          ...(error.type && { type: error.type }),
          message: `The run ${runId} of workflow "${workflow}" failed: ${error.message}`,
          retryable: mayPass(error.code, error.type),
          output: { runId, error },
        });
      }
      case 'run.cancelled':
        throw new StepError({
          code: 'workflow.cancelled',
          message: `The run ${outcome.data.runId} was cancelled by ${outcome.data.by}.`,
          retryable: false,
          output: { runId: outcome.data.runId },
        });
      case 'workflow.skipped':
        throw new StepError({
          code: 'workflow.skipped',
          message: `The run ${outcome.data.runId} was skipped: ${outcome.data.detail}`,
          retryable: true,
          output: { runId: outcome.data.runId },
        });
      case 'action.refused':
        throw new StepError({
          code: 'workflow.refused',
          type: 'configuration',
          message: outcome.data.detail,
          retryable: false,
          output: { refused: outcome.data.reason },
        });
    }
  },
});
