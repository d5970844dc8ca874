import { type Static, Type } from '@sinclair/typebox';

import { configsInWords } from './agent-config-shape.js';
import { AgentRuntime } from './execution-shape.js';
import { changes, closed, defaulted, kept, nullable } from '../fields.js';

/** Settings, all of which are sent, kept and answered in the same form. A new one goes here. */
export const agentSettings = {
  name: Type.String({ minLength: 1, maxLength: 100, expected: '1 to 100 characters', examples: ['triage'] }),
  runtime: AgentRuntime,
  config: defaulted(
    Type.Record(Type.String(), Type.Unknown(), {
      description: `Settings of the runtime, without secrets: ${configsInWords}.`,
      examples: [{ url: 'https://agents.example.com/triage' }],
    }),
    {},
  ),
  webhookEnabled: defaulted(Type.Boolean({ description: 'Whether /agents/{id}/webhook accepts requests.' }), false),
  auth: defaulted(
    Type.Union([Type.Literal('none'), Type.Literal('bearer'), Type.Literal('hmac')], {
      description:
        'Authentication of its webhook: none (the unguessable URL alone), a bearer token, or X-Webhook-Signature.',
    }),
    'none',
  ),
  rateLimit: defaulted(
    Type.Integer({
      minimum: 1,
      maximum: 100_000,
      description:
        'Starts a minute. Above it, its webhook answers 429 with Retry-After (each process counts its own requests), and other executions stay pending.',
    }),
    100,
  ),
  maxConcurrent: defaulted(
    Type.Integer({
      minimum: 1,
      maximum: 1_000,
      description: 'Executions that run at the same time; others stay pending.',
    }),
    10,
  ),
};

const secret = Type.Optional(
  Type.String({
    minLength: 8,
    maxLength: 1024,
    writeOnly: true,
    expected: '8 to 1024 characters',
    description: 'For bearer and hmac; generated and shown once if left out.',
  }),
);

/** What is sent to create an agent. */
export const NewAgent = closed({ ...agentSettings, secret }, { $id: 'NewAgent' });
export type NewAgent = Static<typeof NewAgent>;

/** What is sent to change one. */
const MAX_GRACE_SECONDS = 30 * 86_400;
export const AgentChanges = closed(
  {
    ...changes(agentSettings),
    secret,
    graceSeconds: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: MAX_GRACE_SECONDS,
        description: 'With a new secret: how long the earlier one is accepted, and signed with, too. Default: 0.',
      }),
    ),
  },
  { $id: 'AgentChanges' },
);
export type AgentChanges = Static<typeof AgentChanges>;

/** What of an agent may be changed later on, as the log keeps it: everything but its id and its secret. */
export const AgentSettings = Type.Object(kept(agentSettings));
export type AgentSettings = Static<typeof AgentSettings>;

const time = Type.String({ format: 'date-time' });

/** An agent as it is answered. */
export const AgentAnswer = Type.Object(
  {
    id: Type.String({ examples: ['agt_01jq5x1d0wkz4s3v2n8m7b6c5a'] }),
    shownId: Type.String({ description: 'Stands for the id in deliveries to others: nothing receives at it.' }),
    ...AgentSettings.properties,
    webhookUrl: nullable(Type.String({ description: 'While its webhook is enabled.' })),
    hasSecret: Type.Boolean(),
    createdAt: time,
    updatedAt: time,
    secret: Type.Optional(Type.String({ description: 'Shown once.' })),
  },
  { $id: 'AgentAnswer' },
);
export type AgentAnswer = Static<typeof AgentAnswer>;
