import { Type } from '@sinclair/typebox';

import { defineEvent } from '../define-event.js';

const Headers = Type.Record(Type.String(), Type.String());

/** What exactly an attempt of a delivery sent, and what the receiver answered. */
export const exchange = {
  /** Absent where nothing was sent. */
  request: Type.Optional(
    Type.Object({
      method: Type.String(),
      url: Type.String(),
      /** Lower-case names. Signatures are left out; values of headers of the receiver's own are hidden. */
      headers: Headers,
      format: Type.String(),
      bodySha256: Type.String(),
      bodyBytes: Type.Integer(),
    }),
  ),
  /** Absent where none came. */
  response: Type.Optional(
    Type.Object({
      status: Type.Integer(),
      headers: Headers,
      /** The first 64 KiB. */
      body: Type.String(),
      encoding: Type.Union([Type.Literal('utf8'), Type.Literal('base64')]),
      truncated: Type.Boolean(),
    }),
  ),
};

export const exchangeExample = {
  request: {
    method: 'POST',
    url: 'https://example.com/hook',
    headers: { 'content-type': 'application/json', 'x-millrace-event': 'git.push' },
    format: 'platform',
    bodySha256: 'a3f0c9b1d2e4f5061728394a5b6c7d8e9fa0b1c2d3e4f5061728394a5b6c7d8e',
    bodyBytes: 812,
  },
  response: {
    status: 500,
    headers: { 'content-type': 'text/plain' },
    body: 'out of order',
    encoding: 'utf8' as const,
    truncated: false,
  },
};

/** What deliveries record besides the outcomes of their attempts. */
export const deliveryEvents = {
  'delivery.attempted': defineEvent({
    description:
      'One HTTP request of a delivery and its answer, followed by the outcome as another event. Older versions recorded it; now `webhook.delivered` and `webhook.failed` have both.',
    system: true,
    data: Type.Object({
      deliveryId: Type.String(),
      webhookId: Type.Optional(Type.String()),
      eventId: Type.String(),
      eventType: Type.String(),
      attempt: Type.Integer({ minimum: 1 }),
      ...exchange,
      startedAt: Type.String(),
      latencyMs: Type.Integer({ minimum: 0 }),
    }),
    example: {
      deliveryId: 'del_01jq5x1d0wkz4s3v2n8m7b6c5a',
      webhookId: 'whk_01jq5x1d0wkz4s3v2n8m7b6c5a',
      eventId: 'evt_01jq5x1d0wkz4s3v2n8m7b6c5a',
      eventType: 'git.push',
      attempt: 1,
      ...exchangeExample,
      startedAt: '2026-11-20T13:14:15.123Z',
      latencyMs: 41,
    },
  }),
  'delivery.redelivery_requested': defineEvent({
    description: 'A redelivery was requested: a new delivery of the same event.',
    system: true,
    data: Type.Object({
      /** The new one. */
      deliveryId: Type.String(),
      redeliveryOf: Type.String(),
    }),
    example: { deliveryId: 'del_01jq5x1d0wkz4s3v2n8m7b6c5b', redeliveryOf: 'del_01jq5x1d0wkz4s3v2n8m7b6c5a' },
  }),
} as const;
