import { type Static, type TObject, Type } from '@sinclair/typebox';

import { changes, closed, defaulted, kept, nullable } from './fields.js';

const text = Type.String({ minLength: 1, maxLength: 16_384, expected: 'a string of 1 to 16384 characters' });
const url = Type.String({
  format: 'uri',
  maxLength: 16_384,
  expected: 'a URL',
  examples: ['https://agents.example.com/triage'],
});

/** What `config` holds, by runtime. */
export const agentConfigs = {
  http: closed({ url }),
  openai: closed({ baseUrl: url, model: text, prompt: Type.Optional(text) }),
  workflow: closed({ workflow: text }),
  command: closed({
    command: text,
    args: Type.Optional(Type.Array(Type.String({ maxLength: 16_384 }), { maxItems: 64 })),
  }),
} satisfies Readonly<Record<string, TObject>>;

const runtimes = Object.keys(agentConfigs) as readonly (keyof typeof agentConfigs)[];
const configs = Object.entries<TObject>(agentConfigs).map(
  ([runtime, { properties, required = [] }]) =>
    `${runtime} { ${Object.keys(properties)
      .map((key) => `${key}${required.includes(key) ? '' : '?'}`)
      .join(', ')} }`,
);

/** Settings, all of which are sent, kept and answered in the same form. A new one goes here. */
export const agentSettings = {
  name: Type.String({ minLength: 1, maxLength: 100, expected: '1 to 100 characters', examples: ['triage'] }),
  runtime: Type.Union(
    runtimes.map((runtime) => Type.Literal(runtime)),
    { description: 'What runs it.' },
  ),
  config: defaulted(
    Type.Record(Type.String(), Type.Unknown(), {
      description: `Settings of the runtime, without secrets: ${configs.join(', ')}.`,
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
      description: 'Webhook requests per minute and process; above it, 429 with Retry-After.',
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
export const AgentChanges = closed({ ...changes(agentSettings), secret }, { $id: 'AgentChanges' });
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

export const ExecutionTrigger = Type.Union([
  Type.Literal('webhook'),
  Type.Literal('rule'),
  Type.Literal('workflow'),
  Type.Literal('manual'),
  Type.Literal('schedule'),
]);
export type ExecutionTrigger = Static<typeof ExecutionTrigger>;

/** One execution of an agent. */
export const ExecutionAnswer = Type.Object(
  {
    id: Type.String({ examples: ['exec_01jq5x1d0wkz4s3v2n8m7b6c5a'] }),
    agentId: nullable(Type.String({ description: 'null while there is no agent of that name.' })),
    agent: Type.String({ description: 'The id or name in the request.' }),
    trigger: ExecutionTrigger,
    status: Type.Union([
      Type.Literal('pending'),
      Type.Literal('running'),
      Type.Literal('completed'),
      Type.Literal('failed'),
      Type.Literal('cancelled'),
      Type.Literal('timeout'),
    ]),
    eventId: Type.String({ description: 'The event that led to it. For a webhook, its payload is the input.' }),
    requestedBy: nullable(Type.String({ description: 'The rule or run that requested it.' })),
    createdAt: time,
    finishedAt: nullable(time),
  },
  { $id: 'ExecutionAnswer' },
);
export type ExecutionAnswer = Static<typeof ExecutionAnswer>;
