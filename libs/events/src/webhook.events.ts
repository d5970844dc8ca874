import { Type } from '@sinclair/typebox';

import { RequestedBy } from './action.events.js';
import { defineEvent } from './define-event.js';

const attempt = {
  deliveryId: Type.String(),
  /** Absent where an action named a bare URL. */
  webhookId: Type.Optional(Type.String()),
  /** Id and type of the event that was to be delivered. */
  eventId: Type.String(),
  eventType: Type.String(),
  /** 1 for the first. */
  attempt: Type.Integer({ minimum: 1 }),
  latencyMs: Type.Integer({ minimum: 0 }),
};
const example = {
  deliveryId: 'del_01jq5x1d0wkz4s3v2n8m7b6c5a',
  webhookId: 'whk_01jq5x1d0wkz4s3v2n8m7b6c5a',
  eventId: 'evt_01jq5x1d0wkz4s3v2n8m7b6c5a',
  eventType: 'git.push',
  attempt: 1,
  latencyMs: 41,
};

/** Outcomes of outbound deliveries, and the request for another attempt. */
export const webhookEvents = {
  'webhook.delivered': defineEvent({
    description: 'An attempt was answered with a 2xx.',
    data: Type.Object({ ...attempt, status: Type.Integer() }),
    example: { ...example, status: 200 },
  }),
  'webhook.failed': defineEvent({
    description: 'An attempt failed, for whatever reason. The shipped workflow listens to this and asks for more.',
    data: Type.Object({
      ...attempt,
      failureClass: Type.Union(
        (['timeout', 'dns', 'connect', 'tls', 'status', 'refused_address', 'redirect', 'body_too_large'] as const).map(
          (name) => Type.Literal(name),
        ),
      ),
      /** Of the answer, where there was one. */
      status: Type.Optional(Type.Integer()),
      /** In words for a person. */
      detail: Type.String(),
      /** False where another attempt cannot help: a 410, a webhook that is disabled or gone. */
      retryable: Type.Boolean(),
      /** Seconds the receiver asked for. */
      retryAfter: Type.Optional(Type.Integer()),
      nextAttemptAt: Type.Optional(Type.String()),
    }),
    example: { ...example, failureClass: 'status', status: 500, detail: 'answered 500', retryable: true },
  }),
  'webhook.exhausted': defineEvent({
    description: 'Every attempt of a delivery failed; there will be no more.',
    data: Type.Object({
      deliveryId: Type.String(),
      webhookId: Type.Optional(Type.String()),
      attempts: Type.Integer(),
    }),
    example: { deliveryId: example.deliveryId, webhookId: example.webhookId, attempts: 6 },
  }),
  'webhook.redelivery_requested': defineEvent({
    description: 'A run asks for another attempt of the same delivery, some time after the last one failed.',
    system: true,
    data: Type.Object({
      requestedBy: RequestedBy,
      deliveryId: Type.String(),
      /** Milliseconds after the failure before; the receiver's Retry-After may lengthen it to at most twice. */
      afterMs: Type.Integer({ minimum: 0 }),
    }),
    example: {
      requestedBy: { kind: 'run', runId: 'run_01jq5x1d0wkz4s3v2n8m7b6c5a', stepId: 'redeliver' },
      deliveryId: example.deliveryId,
      afterMs: 60_000,
    },
  }),
} as const;
