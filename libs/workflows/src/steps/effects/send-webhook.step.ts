import { Type } from '@sinclair/typebox';

import { StepError } from '#libs/plugin-sdk/src/define-step.js';
import type { ReferenceKind } from '#libs/vocabulary/src/vocabulary.js';

import { Detached, requestedBy, requestStep } from './request-step.js';

const text = (description: string, refersTo?: ReferenceKind) =>
  Type.Optional(Type.String({ minLength: 1, description, ...(refersTo && { refersTo }) }));

/** A delivery. That the receiver failed is an answer, not a failure of the step: the retry workflow goes on with it. */
export const sendWebhookStep = requestStep({
  name: 'send_webhook',
  description: 'Delivers the event of the run, or a payload, to a webhook or URL and waits for the first attempt.',
  inputSchema: Type.Object(
    {
      webhook: text('Id of an outbound webhook: `whk_…`. Either this or `url`.', 'webhook'),
      url: Type.Optional(
        Type.String({
          pattern: '^[Hh][Tt][Tt][Pp][Ss]?://',
          expected: 'an http or https URL, such as https://example.com/hook',
          description: 'A URL without a webhook. Either this or `webhook`.',
        }),
      ),
      payload: Type.Optional(Type.Unknown({ description: 'Sent instead of the event.' })),
      detached: Detached,
    },
    { additionalProperties: false },
  ),
  outputSchema: Type.Object({
    deliveryId: Type.String(),
    delivered: Type.Boolean(),
    retryable: Type.Boolean(),
    attempt: Type.Integer(),
    status: Type.Optional(Type.Integer()),
    failureClass: Type.Optional(Type.String()),
    detail: Type.Optional(Type.String()),
    requestId: Type.Optional(Type.String()),
  }),
  noRetry:
    'A receiver that fails is its output, not an error: the workflow of retries delivers again, or a step `redeliver_webhook`.',
  request: 'webhook.requested',
  takesSecrets: true,

  check(input, pointer, problems) {
    if ((input['webhook'] === undefined) === (input['url'] === undefined))
      problems.add(pointer, 'workflow.bad_value', 'Must have either "webhook" (its whk_ id) or "url".');
  },

  requestData({ webhook, url, payload }, decision) {
    if (payload === undefined && decision.start.event === undefined)
      throw new StepError({
        code: 'webhook.no_payload',
        type: 'validation',
        message: 'No event led to this run, so there is nothing to send. Set "payload".',
        retryable: false,
      });
    return {
      ...requestedBy(decision),
      ...(typeof webhook === 'string' ? { webhookId: webhook } : { url: String(url) }),
      ...(payload !== undefined && { payload }),
    };
  },
  outcomes: ['webhook.delivered', 'webhook.failed', 'action.refused'],

  output(outcome) {
    if (outcome.type === 'action.refused')
      throw new StepError({
        code: 'webhook.refused',
        type: 'configuration',
        message: outcome.data.detail,
        retryable: false,
        output: { refused: outcome.data.reason },
      });
    const { deliveryId, attempt, status } = outcome.data;
    if (outcome.type === 'webhook.delivered') return { deliveryId, delivered: true, retryable: false, attempt, status };
    const { retryable, failureClass, detail } = outcome.data;
    return { deliveryId, delivered: false, retryable, attempt, status, failureClass, detail };
  },
});
