import { Type } from '@sinclair/typebox';

import { defineEvent } from '../../define-event.js';
import { RequestedBy } from './requested-by.js';

const requestedBy = { kind: 'rule', ruleId: 'rul_01jq5x1d0wkz4s3v2n8m7b6c5a', ruleVersion: 1, index: 0 } as const;
const eventId = 'evt_01jq5x1d0wkz4s3v2n8m7b6c5a';
const integrationId = 'int_01jq5x1d0wkz4s3v2n8m7b6c5a';

/** On every event about an attempt. */
const ofMessage = {
  requestId: Type.String({ description: 'id of the `message.requested`' }),
  /** Where the log keeps the request. */
  request: Type.Object({ stream: Type.String(), revision: Type.String() }),
  requestedBy: RequestedBy,
  eventId: Type.String({ description: 'id of the event that led to the message' }),
  attempt: Type.Integer({ minimum: 1, description: '1 for the first' }),
};
const aboutMessage = {
  requestId: 'evt_01jq5x1d0wkz4s3v2n8m7b6c5b',
  request: { stream: 'decisions-0195cbd0-b41c-7f04-8ee0-aa2a0e71b0aa', revision: '1' },
  requestedBy,
  eventId,
  attempt: 1,
};
const integration = Type.Optional(Type.String({ description: 'id of the integration; absent if there is none' }));
const latencyMs = Type.Integer({ minimum: 0, description: 'of this attempt' });
const error = Type.Object({
  code: Type.String({ description: 'stable, such as `slack.channel_not_found`' }),
  message: Type.String({ description: 'for people' }),
});

export const messageEvents = {
  'message.requested': defineEvent({
    description: 'A rule or run requested a message to a channel.',
    system: true,
    data: Type.Object({
      requestedBy: RequestedBy,
      eventId: Type.String({ description: 'id of the event that led to the action' }),
      /** Where the log keeps that event; without it, it is looked for. */
      event: Type.Optional(Type.Object({ stream: Type.String(), revision: Type.String() })),
      integration: Type.String({ description: 'id or name' }),
      channel: Type.Optional(Type.String({ description: 'absent: where the event came from' })),
      text: Type.String(),
      threadId: Type.Optional(Type.String()),
      blocks: Type.Optional(Type.Array(Type.Unknown())),
      respond: Type.Optional(Type.Boolean({ description: "answer at the event's own address" })),
    }),
    example: { requestedBy, eventId, integration: integrationId, channel: '#ops', text: 'up' },
  }),
  'message.attempted': defineEvent({
    description: 'An attempt to send a message begins.',
    system: true,
    data: Type.Object({ ...ofMessage, integrationId: integration }),
    example: { ...aboutMessage, integrationId },
  }),
  'message.attempt_failed': defineEvent({
    description: 'An attempt to send a message failed; another follows.',
    system: true,
    data: Type.Object({
      ...ofMessage,
      integrationId: integration,
      error,
      latencyMs,
      mayHaveArrived: Type.Boolean({ description: 'whether the service may have sent the message all the same' }),
      nextAttemptAt: Type.String({ description: 'RFC 3339 UTC' }),
    }),
    example: {
      ...aboutMessage,
      integrationId,
      error: { code: 'slack.ratelimited', message: 'Slack answered 429.' },
      latencyMs: 41,
      mayHaveArrived: false,
      nextAttemptAt: '2026-11-20T13:14:25.123Z',
    },
  }),
  'message.reply_taken': defineEvent({
    description: "A message uses the event's own address for answers, which takes a few.",
    system: true,
    data: Type.Object({
      eventId: Type.String({ description: 'id of the event that is answered' }),
      requestId: Type.String({ description: 'id of the `message.requested`' }),
    }),
    example: { eventId, requestId: 'evt_01jq5x1d0wkz4s3v2n8m7b6c5b' },
  }),
  'message.sent': defineEvent({
    description: 'A message was sent.',
    system: true,
    data: Type.Object({
      ...ofMessage,
      integrationId: integration,
      provider: Type.String(),
      channel: Type.Optional(Type.String({ description: 'as the service names it' })),
      messageId: Type.Optional(Type.String({ description: 'as the service names it' })),
      threadId: Type.Optional(Type.String()),
      latencyMs,
    }),
    example: {
      ...aboutMessage,
      integrationId,
      provider: 'slack',
      channel: 'C024BE91L',
      messageId: '1732108455.000200',
      latencyMs: 120,
    },
  }),
  'message.failed': defineEvent({
    description: 'A message was not sent, and no further attempt follows.',
    system: true,
    data: Type.Object({ ...ofMessage, integrationId: integration, error, latencyMs }),
    example: {
      ...aboutMessage,
      integrationId,
      error: { code: 'slack.channel_not_found', message: 'Slack refused the message: channel_not_found.' },
      latencyMs: 80,
    },
  }),
} as const;
