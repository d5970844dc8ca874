import { type Static, Type } from '@sinclair/typebox';

import { changes, closed, defaulted, kept, nullable, shown } from './fields.js';
import { allowRecursion } from './rule-shape.js';

const MAX_TIMEOUT_MS = 120_000;
const MAX_GRACE_SECONDS = 7 * 24 * 60 * 60;

const limit = Type.Integer({ minimum: 1, maximum: 10_000, description: 'Number of requests.' });
const per = Type.String({ expected: 'a duration from 1s to 1d, such as 1m', examples: ['1m'] });

/** At most so many requests in any period of that length. */
export const WebhookRate = Type.Object({ limit, per });
export type WebhookRate = Static<typeof WebhookRate>;

export const WebhookFormat = Type.Union([
  Type.Literal('platform'),
  Type.Literal('compact'),
  Type.Literal('standard'),
  Type.Literal('cloudevents'),
]);
export type WebhookFormat = Static<typeof WebhookFormat>;

/** Settings that are sent, kept and answered in the same form. A new one goes here. */
export const webhookSettings = {
  url: Type.String({
    description: 'Where events are sent. Must be https and a public address, unless the server allows others.',
    examples: ['https://example.com/hook'],
  }),
  events: Type.Array(Type.String(), {
    minItems: 1,
    maxItems: 100,
    uniqueItems: true,
    description: 'Types, globs, or `*`. A glob with `*` in its first segment leaves out system types and `webhook.*`.',
    examples: [['issue.created', 'pr.*']],
  }),
  format: defaulted(WebhookFormat, 'platform'),
  filter: Type.Optional(
    Type.String({ description: 'JMESPath over the event. Without it every event of the types is sent.' }),
  ),
  timeoutMs: defaulted(
    Type.Integer({ minimum: 1, maximum: MAX_TIMEOUT_MS, description: 'Time limit of an attempt.' }),
    30_000,
  ),
  signatureHeader: Type.Optional(
    Type.String({ description: 'Replaces X-Millrace-Signature.', examples: ['X-GitProductivity-Signature'] }),
  ),
  allowRecursion,
};

/** THE SHAPE OF AN OUTBOUND WEBHOOK: its fields as they are sent. */
export const webhookFields = {
  ...webhookSettings,
  headers: Type.Optional(
    Type.Record(Type.String(), Type.Unknown(), {
      description: 'Additional headers. Their values are encrypted and not shown again.',
    }),
  ),
  secret: Type.Optional(
    Type.String({
      writeOnly: true,
      description: 'Signs every delivery: 8 to 512 characters. If left out, one is generated and shown in the answer.',
    }),
  ),
  disabled: defaulted(Type.Boolean(), false),
  rateLimit: Type.Optional(
    Type.Union([limit, closed({ limit, per: Type.Optional({ ...per, default: '1m' }) })], {
      description:
        'Most requests in any such period, over all processes: a number per minute, or `{ limit, per }`. Further deliveries wait in order. Default: no limit.',
    }),
  ),
};

const changed = changes(webhookFields);
const { filter, headers, secret, signatureHeader, rateLimit } = changed;

/** What is sent to create one. `null` is as good as leaving out. */
export const NewWebhook = closed(
  { ...webhookFields, filter, headers, secret, signatureHeader, rateLimit },
  { $id: 'NewWebhook' },
);
export type NewWebhook = Static<typeof NewWebhook>;

/** What is sent to change one. */
export const WebhookChanges = closed(
  {
    ...changed,
    rotateSecret: Type.Optional(nullable(Type.Boolean({ description: 'Generates a new secret and returns it.' }))),
    graceSeconds: Type.Optional(
      nullable(
        Type.Integer({
          minimum: 0,
          maximum: MAX_GRACE_SECONDS,
          default: 86_400,
          description: 'How long deliveries are also signed with the earlier secret.',
        }),
      ),
    ),
  },
  { $id: 'WebhookChanges' },
);
export type WebhookChanges = Static<typeof WebhookChanges>;

const reference = Type.String({ description: 'reference into the store of secrets' });

/** What of a webhook may be changed later on, as the log keeps it: everything but its secret and whether it is enabled. */
export const WebhookSettings = Type.Object({
  ...kept(webhookSettings),
  headers: Type.Optional(Type.Object({ names: Type.Array(Type.String()), values: reference })),
  rateLimit: Type.Optional(WebhookRate),
});
export type WebhookSettings = Static<typeof WebhookSettings>;

const time = Type.String({ format: 'date-time' });

/** A webhook as it is answered. */
export const WebhookAnswer = Type.Object(
  {
    id: Type.String({ examples: ['whk_01jq5x1d0wkz4s3v2n8m7b6c5a'] }),
    ...shown(webhookSettings),
    headers: Type.Record(Type.String(), Type.String(), { description: 'Values are hidden.' }),
    signatureHeader: Type.String(),
    rateLimit: nullable(WebhookRate),
    status: Type.Union([Type.Literal('active'), Type.Literal('disabled')]),
    disabled: Type.Boolean(),
    disabledReason: nullable(Type.Union([Type.Literal('manual'), Type.Literal('gone'), Type.Literal('failing')])),
    disabledDetail: nullable(Type.String()),
    sendCount: Type.Integer({ description: 'HTTP requests sent, without tests.' }),
    failureCount: Type.Integer({ description: 'Attempts that failed.' }),
    lastSentAt: nullable(time),
    consecutiveFailures: Type.Integer(),
    failingSince: nullable(time),
    health: Type.Object(
      {
        state: Type.Union([
          Type.Literal('unknown'),
          Type.Literal('healthy'),
          Type.Literal('failing'),
          Type.Literal('disabled'),
        ]),
        lastSuccessAt: nullable(time),
        lastFailureAt: nullable(time),
        lastFailure: nullable(Type.String({ description: 'Why the last failed attempt failed.' })),
        disabledFrom: nullable(
          Type.String({
            format: 'date-time',
            description: 'A failure after this time disables the webhook, unless an attempt succeeds before.',
          }),
        ),
      },
      { description: '`unknown` until the first attempt, `failing` since the last one failed. Tests do not count.' },
    ),
    graceUntil: nullable(Type.String({ format: 'date-time', description: 'When the earlier secret stops signing.' })),
    createdAt: time,
    updatedAt: time,
  },
  { $id: 'WebhookAnswer' },
);
export type WebhookAnswer = Static<typeof WebhookAnswer>;

/** How a test delivery ended. */
export const TestDelivery = Type.Object(
  {
    deliveryId: nullable(Type.String({ examples: ['del_01jq5x1d0wkz4s3v2n8m7b6c5a'] })),
    status: Type.Union([
      Type.Literal('success'),
      Type.Literal('failed'),
      Type.Literal('pending'),
      Type.Literal('skipped'),
    ]),
    responseCode: nullable(Type.Integer()),
    latencyMs: nullable(Type.Integer()),
    failureClass: nullable(Type.String()),
    detail: nullable(Type.String({ description: 'Description of the failure.' })),
  },
  { $id: 'TestDelivery', description: 'Outcome of the test. A failure changes nothing else.' },
);
export type TestDelivery = Static<typeof TestDelivery>;

/** The answer to changing a webhook. */
export const SavedWebhook = Type.Object(
  {
    ...WebhookAnswer.properties,
    warnings: Type.Array(
      Type.Object({
        pointer: Type.String(),
        detail: Type.String(),
        code: Type.Optional(Type.String()),
        column: Type.Optional(Type.Integer({ minimum: 1, description: 'Column in the string at the pointer.' })),
      }),
      {
        description: 'Allowed, but probably not intended.',
      },
    ),
    secret: Type.Optional(Type.String({ description: 'The new secret, shown in this answer only.' })),
  },
  { $id: 'SavedWebhook' },
);
export type SavedWebhook = Static<typeof SavedWebhook>;

/** The answer to creating a webhook. */
export const CreatedWebhook = Type.Object(
  { ...SavedWebhook.properties, testDelivery: TestDelivery },
  { $id: 'CreatedWebhook' },
);
export type CreatedWebhook = Static<typeof CreatedWebhook>;
