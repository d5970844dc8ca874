import { type Static, type TObject, Type } from '@sinclair/typebox';

import type { JsonObject } from '#libs/kernel/src/json.js';

import { PersonalFields } from '../personal/personal-shape.js';
import { changes, closed, defaulted, kept, nullable, shown } from './fields.js';

const MAX_GRACE_SECONDS = 30 * 24 * 60 * 60;

const limit = Type.Integer({
  minimum: 1,
  maximum: 1_000_000,
  expected: 'a whole number of requests from 1 to 1000000',
});
const name = Type.String({ minLength: 1, maxLength: 100, expected: '1 to 100 characters', examples: ['acme/app'] });

/** Settings that are sent, kept and answered in the same form. A new one goes here. */
export const integrationSettings = {
  name,
  customPath: Type.Optional(
    Type.String({
      pattern: '^[A-Za-z0-9][A-Za-z0-9._~-]{0,99}$',
      expected: 'up to 100 letters, digits, ".", "_", "~" or "-", of which the first is a letter or a digit',
      description: 'Also receive at /api/webhook/{customPath}.',
      examples: ['acme'],
    }),
  ),
  allowedSources: Type.Optional(
    Type.Array(Type.String(), {
      uniqueItems: true,
      description: 'Addresses and CIDR ranges. Default: every address may send.',
      examples: [['140.82.112.0/20']],
    }),
  ),
  dedupeKey: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 4096,
      description: 'JMESPath over the body, or over each line or element of it: the same value is recorded once.',
      examples: ['alert.id'],
    }),
  ),
  expectedEvery: Type.Optional(
    Type.String({
      minLength: 2,
      maxLength: 20,
      description: 'The longest expected pause between events. After it, integration.silent is recorded once.',
      examples: ['1h'],
    }),
  ),
  personal: Type.Optional(
    Type.Union([Type.Literal(true, { description: 'The fields that the provider lists.' }), PersonalFields], {
      description: 'Fields that belong to a person. Default: none. true: those that the provider lists.',
    }),
  ),
};

const SECRET = 'Shared with the sender; kept encrypted.';
const secret = Type.String({ minLength: 8, maxLength: 1024, writeOnly: true, expected: '8 to 1024 characters' });

/** THE SHAPE OF AN INTEGRATION: its fields as they are sent. What `config` holds is for the provider to say. */
export const integrationFields = {
  provider: Type.String({
    minLength: 1,
    description: 'The kind of sender.',
    expected: 'the name of a provider',
    examples: ['github'],
  }),
  preset: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 40,
      description: 'The preset of a known sender, for the provider generic_webhook. GET /api/v1/providers lists them.',
      expected: 'the name of a preset',
      examples: ['stripe'],
    }),
  ),
  ...integrationSettings,
  secret: Type.Optional({ ...secret, description: `${SECRET} Without it the slug alone authenticates.` }),
  rateLimit: Type.Optional(
    Type.Union(
      [
        Type.Integer({ ...limit, description: 'Number of requests.' }),
        closed({
          limit,
          per: Type.Optional(Type.String({ default: '1m', expected: 'a duration from 1s to 1d, such as 1m' })),
        }),
      ],
      { description: 'Requests per process: a number per minute, or `{ limit, per }`. Default: no limit.' },
    ),
  ),
  config: defaulted(
    Type.Record(Type.String(), Type.Unknown(), { description: 'Settings of the provider; unknown keys are refused.' }),
    {},
  ),
};

/** What is sent to create one. */
export const NewIntegration = closed(integrationFields, { $id: 'NewIntegration' });
export type NewIntegration = Static<typeof NewIntegration>;

const { provider: _provider, preset: _preset, ...changed } = changes(integrationFields);

/** What is sent to change one. */
export const IntegrationChanges = closed(
  {
    ...changed,
    enabled: Type.Optional(
      Type.Boolean({ description: 'false: requests are refused with 404 until it is true again.' }),
    ),
    secret: Type.Optional(
      nullable({ ...secret, description: `A new one. ${SECRET} null: the slug alone authenticates.` }),
    ),
    graceSeconds: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: MAX_GRACE_SECONDS,
        default: 86_400,
        description: 'How long earlier secrets stay valid; 0: no earlier secret does. With `secret` only.',
      }),
    ),
    config: Type.Optional(
      Type.Record(Type.String(), Type.Unknown(), {
        description: 'The whole config. A masked secret keeps its value, unless an address in the config changes.',
      }),
    ),
  },
  { $id: 'IntegrationChanges' },
);
export type IntegrationChanges = Static<typeof IntegrationChanges>;

/** What of an integration may be changed later on, as the log keeps it: everything but its provider, slug and secret. */
export const keptIntegrationSettings = {
  ...kept(integrationSettings),
  rateLimit: Type.Optional(
    Type.Object({
      limit: Type.Integer({ minimum: 1, description: 'requests' }),
      perMs: Type.Integer({ minimum: 1, description: 'length of the period in milliseconds' }),
    }),
  ),
  config: Type.Unsafe<JsonObject>(
    Type.Record(Type.String(), Type.Unknown(), {
      description: 'what the provider needs; a secret is `{ "$secret": reference }`',
    }),
  ),
};
export type IntegrationSettings = Static<TObject<typeof keptIntegrationSettings>>;

const time = Type.String({ format: 'date-time' });

/** An integration as it is answered. */
export const IntegrationAnswer = Type.Object(
  {
    id: Type.String({ examples: ['int_01jq5x1d0wkz4s3v2n8m7b6c5a'] }),
    shownId: Type.String({ description: 'Stands for the id in deliveries to others: nothing receives at it.' }),
    ...shown(integrationSettings),
    provider: Type.String(),
    preset: nullable(Type.String({ description: 'The preset of the sender, if any.' })),
    workflowId: nullable(
      Type.String({ description: 'The workflow whose webhook trigger it serves. It cannot be deleted.' }),
    ),
    verify: nullable(
      Type.Record(Type.String(), Type.Unknown(), {
        description: 'How requests are verified, if declared by the preset or by `config.verify`. Read only.',
      }),
    ),
    enabled: Type.Boolean(),
    slug: Type.String(),
    url: Type.String({ description: 'The address to give to the sender: by slug.' }),
    urls: Type.Object({
      inbound: Type.String({ description: 'By slug.' }),
      direct: Type.String({ description: 'By id.' }),
      custom: Type.Optional(Type.String({ description: 'By custom path.' })),
      communicator: Type.Optional(
        Type.String({ description: 'For chats: the request URL at Slack, or the messaging endpoint of a bot.' }),
      ),
    }),
    hasSecret: Type.Boolean({ description: 'Whether requests must be authenticated with a secret.' }),
    previousSecrets: Type.Array(Type.Object({ validUntil: time }), {
      description: 'Earlier secrets that are still accepted.',
    }),
    rateLimit: nullable(Type.Object({ limit: Type.Integer(), per: Type.String({ examples: ['1m'] }) })),
    silentSince: nullable(
      Type.String({
        format: 'date-time',
        description: 'Start of the current silence, if it is longer than expectedEvery.',
      }),
    ),
    lastReconciliation: nullable(
      Type.Object({}, { description: "Outcome of the last comparison with the sender's list of deliveries." }),
    ),
    config: Type.Record(Type.String(), Type.Unknown(), { description: 'Secret values are masked.' }),
    counts: Type.Object({
      received: Type.Integer({ description: 'Deliveries stored for the first time.' }),
      duplicates: Type.Integer({ description: 'Repeats, answered with the ids of the first time.' }),
      retries: Type.Integer({ description: 'Requests that the sender marked as a retry.' }),
      handshakes: Type.Integer({ description: 'With which the sender checked the address.' }),
      refused: Type.Record(Type.String(), Type.Integer(), {
        description: 'By reason.',
        examples: [{ signature_mismatch: 2 }],
      }),
    }),
    lastReceivedAt: nullable(time),
    createdAt: time,
    updatedAt: time,
  },
  { $id: 'IntegrationAnswer' },
);
export type IntegrationAnswer = Static<typeof IntegrationAnswer>;

/** The answer to creating an integration. */
export const CreatedIntegration = Type.Object(
  {
    ...IntegrationAnswer.properties,
    secret: Type.Optional(Type.String({ description: 'Shown in this answer only.' })),
  },
  { $id: 'CreatedIntegration' },
);
export type CreatedIntegration = Static<typeof CreatedIntegration>;

/** What became of the handshake with a sender that gives a secret away, or wants its address confirmed. */
export const HandshakeAnswer = Type.Object(
  {
    status: Type.Union([Type.Literal('open'), Type.Literal('waiting'), Type.Literal('done'), Type.Literal('none')], {
      description:
        "open: the secret of the next handshake is adopted. waiting: a step in the sender's settings is missing. done: a verified request has arrived since. none: the sender has no handshake.",
    }),
    openUntil: nullable(time),
    verificationToken: nullable(
      Type.String({ description: "Enter it in the sender's settings. Shown until the first event." }),
    ),
    confirmUrl: nullable(Type.String({ description: 'Open it to confirm the subscription, if you expect it.' })),
  },
  { $id: 'HandshakeAnswer' },
);
export type HandshakeAnswer = Static<typeof HandshakeAnswer>;
