import { Type } from '@sinclair/typebox';

import { tryParseDuration } from '#libs/kernel/src/time/durations.js';

import { Duration } from '../../language/fields.js';
import { requestStep } from './request-step.js';

/** Another attempt of a delivery. That the receiver failed again is an answer, not a failure of the step. */
export const redeliverWebhookStep = requestStep({
  name: 'redeliver_webhook',
  description:
    'Requests another attempt of a delivery and waits for its outcome: { delivered, attempt, status?, failureClass?, retryable }.',
  inputSchema: Type.Object(
    {
      delivery: Type.String({
        pattern: '^del_[0-9a-z]+$',
        description: 'del_…',
        expected: 'the id of a delivery, del_…',
      }),
      after: Type.Optional({
        ...Duration,
        description: 'Delay after the last failure. Default: none.',
      } as typeof Duration),
    },
    { additionalProperties: false },
  ),
  outputSchema: Type.Object({
    delivered: Type.Boolean(),
    retryable: Type.Boolean(),
    attempt: Type.Optional(Type.Integer()),
    status: Type.Optional(Type.Integer()),
    failureClass: Type.Optional(Type.String()),
    detail: Type.Optional(Type.String()),
    retryAfter: Type.Optional(Type.Integer()),
    refused: Type.Optional(Type.String()),
  }),
  noRetry: 'A receiver that fails again is its output, not an error. Repeat the step in `while`.',
  request: 'webhook.redelivery_requested',
  requestData: ({ delivery, after }, { runId, path }) => ({
    requestedBy: { kind: 'run', runId, stepId: path },
    deliveryId: String(delivery),
    afterMs: typeof after === 'string' ? (tryParseDuration(after) ?? 0) : 0,
  }),
  outcomes: ['webhook.delivered', 'webhook.failed', 'action.refused'],
  output(outcome) {
    switch (outcome.type) {
      case 'webhook.delivered':
        return { delivered: true, attempt: outcome.data.attempt, status: outcome.data.status, retryable: false };
      case 'webhook.failed': {
        const { attempt, status, failureClass, retryable, detail, retryAfter } = outcome.data;
        return { delivered: false, attempt, status, failureClass, retryable, detail, retryAfter };
      }
      // The webhook or the delivery is gone, or somebody else was faster: there is nothing left to try.
      case 'action.refused': {
        const { reason, detail } = outcome.data;
        return { delivered: reason === 'already-delivered', retryable: false, refused: reason, detail };
      }
    }
  },
});
