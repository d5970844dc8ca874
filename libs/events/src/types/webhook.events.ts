import { Type } from '@sinclair/typebox';

import { RequestedBy } from './actions/requested-by.js';
import { defineEvent } from '../define-event.js';
import { WebhookSettings } from '../shapes/webhook-shape.js';
import { exchange, exchangeExample } from './delivery.events.js';

const attempt = {
  deliveryId: Type.String(),
  /** Absent where an action named a bare URL. */
  webhookId: Type.Optional(Type.String()),
  /** Id and type of the event that was to be delivered. */
  eventId: Type.String(),
  eventType: Type.String(),
  /** 1 for the first. */
  attempt: Type.Integer({ minimum: 1 }),
  /** Absent in what older versions wrote. */
  startedAt: Type.Optional(Type.String()),
  latencyMs: Type.Integer({ minimum: 0 }),
  ...exchange,
};
/** What a receiver got and answered is for those who may see its deliveries, not for other receivers. */
const internal = Object.keys(exchange);
const example = {
  deliveryId: 'del_01jq5x1d0wkz4s3v2n8m7b6c5a',
  webhookId: 'whk_01jq5x1d0wkz4s3v2n8m7b6c5a',
  eventId: 'evt_01jq5x1d0wkz4s3v2n8m7b6c5a',
  eventType: 'git.push',
  attempt: 1,
  startedAt: '2026-11-20T13:14:15.123Z',
  latencyMs: 41,
  ...exchangeExample,
};

/** Where a secret is kept; never the secret itself. */
const SecretReference = Type.String({ description: 'reference into the store of secrets' });
const webhookId = Type.String({ description: '`whk_` and 26 characters' });

const settings = {
  url: 'https://example.com/hook',
  events: ['git.push', 'pr.*'],
  format: 'platform' as const,
  timeoutMs: 30_000,
};

/** The life of outbound webhooks, outcomes of their deliveries, and requests for more of them. */
export const webhookEvents = {
  'webhook.registered': defineEvent({
    description: 'An outbound webhook was created.',
    system: true,
    data: Type.Object({
      webhookId,
      secret: SecretReference,
      /** Set up without being switched on. */
      disabled: Type.Boolean(),
      settings: WebhookSettings,
    }),
    example: { webhookId: example.webhookId, secret: `${example.webhookId}/1`, disabled: false, settings },
  }),
  'webhook.updated': defineEvent({
    description: 'Settings of an outbound webhook changed; has all current settings.',
    system: true,
    data: Type.Object({ webhookId, settings: WebhookSettings }),
    example: { webhookId: example.webhookId, settings },
  }),
  'webhook.secret_rotated': defineEvent({
    description: 'The secret of an outbound webhook changed; for a grace period deliveries are signed with both.',
    system: true,
    data: Type.Object({
      webhookId,
      secret: SecretReference,
      /** Secrets from before, and until when (RFC 3339 UTC) deliveries carry their signature too. */
      previous: Type.Array(Type.Object({ secret: SecretReference, validUntil: Type.String() })),
    }),
    example: {
      webhookId: example.webhookId,
      secret: `${example.webhookId}/2`,
      previous: [{ secret: `${example.webhookId}/1`, validUntil: '2026-11-21T13:14:15.123Z' }],
    },
  }),
  'webhook.enabled': defineEvent({
    description: 'An outbound webhook was enabled.',
    system: true,
    data: Type.Object({ webhookId }),
    example: { webhookId: example.webhookId },
  }),
  'webhook.disabled': defineEvent({
    description: 'An outbound webhook was disabled.',
    data: Type.Object({
      webhookId,
      /** By hand; because the receiver answered 410; because it failed for five days. */
      reason: Type.Union([Type.Literal('manual'), Type.Literal('gone'), Type.Literal('failing')]),
      /** In words for a person. */
      detail: Type.String(),
    }),
    example: { webhookId: example.webhookId, reason: 'gone', detail: 'The receiver answered 410 Gone.' },
  }),
  'webhook.deleted': defineEvent({
    description: 'An outbound webhook was deleted; its deliveries stay.',
    system: true,
    data: Type.Object({ webhookId }),
    example: { webhookId: example.webhookId },
  }),
  'webhook.test': defineEvent({
    description: 'A test delivery to one webhook. It is not retried.',
    system: true,
    data: Type.Object({ webhookId, message: Type.String() }),
    example: { webhookId: example.webhookId, message: 'This is a test delivery from Millrace.' },
  }),
  'webhook.recovery_requested': defineEvent({
    description: 'A recovery was requested: everything that failed since a time is redelivered.',
    system: true,
    data: Type.Object({ webhookId, since: Type.String() }),
    example: { webhookId: example.webhookId, since: '2026-11-20T00:00:00.000Z' },
  }),
  'webhook.delivered': defineEvent({
    description: 'The receiver answered an attempt with 2xx.',
    internal,
    data: Type.Object({ ...attempt, status: Type.Integer() }),
    example: { ...example, status: 200 },
  }),
  'webhook.failed': defineEvent({
    description: 'An attempt failed. The shipped retry workflow listens to this.',
    internal,
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
    example: { ...example, failureClass: 'status', status: 500, detail: 'the receiver answered 500', retryable: true },
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
    description: 'A run requested another attempt of the same delivery, after a delay.',
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
