import { type Static, type TObject, Type } from '@sinclair/typebox';

import { DURATION_IN_WORDS, DURATION_PATTERN } from '#libs/kernel/src/time/durations.js';

import { SECRET_NAME } from '../secret-shape.js';
import type { AgentRuntime } from './execution-shape.js';
import { closed } from '../fields.js';

const text = Type.String({ minLength: 1, maxLength: 16_384, expected: 'a string of 1 to 16384 characters' });
const url = Type.String({
  format: 'uri',
  maxLength: 16_384,
  expected: 'a URL',
  examples: ['https://agents.example.com/triage'],
});
const duration = (description: string) =>
  Type.String({ description, pattern: DURATION_PATTERN, expected: DURATION_IN_WORDS });
const whole = (minimum: number, maximum: number, description: string) =>
  Type.Integer({ minimum, maximum, description, expected: `a whole number from ${minimum} to ${maximum}` });
const headers = Type.Record(
  Type.String({ pattern: "^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$" }),
  Type.String({ maxLength: 8_192, pattern: '^[\\t\\x20-\\x7e\\x80-\\xff]*$' }),
  {
    additionalProperties: false,
    maxProperties: 50,
    description: 'Headers of every request.',
    expected: 'headers by name',
  },
);

const cents = (description: string) => Type.Number({ minimum: 0, maximum: 1_000_000_000, description });
const globs = Type.Array(Type.String({ minLength: 1, maxLength: 200 }), { maxItems: 200 });
const mcpTool = closed({
  mcp: { ...url, description: 'URL of an MCP server (Streamable HTTP).' },
  headers: Type.Optional(headers),
  trusted: Type.Optional(Type.Boolean({ description: 'Whether what it says about its tools is believed.' })),
  allow: Type.Optional(globs),
  ask: Type.Optional(globs),
  deny: Type.Optional(globs),
});
export const BUILT_IN_TOOLS = ['create_issue', 'send_message', 'run_workflow', 'query_events'] as const;
const builtInTool = closed({
  builtin: Type.Union(BUILT_IN_TOOLS.map((name) => Type.Literal(name))),
  policy: Type.Optional(Type.Union([Type.Literal('allow'), Type.Literal('ask'), Type.Literal('deny')])),
});

/** What `config` holds, by runtime: the only place where it is written. */
export const agentConfigs = {
  http: closed({
    url,
    headers: Type.Optional(headers),
    timeout: Type.Optional(duration('From the first call to the result. Default: 5m.')),
    maxAttempts: Type.Optional(whole(1, 20, 'How often it is called at most. Default: 3.')),
  }),
  openai: closed({
    baseUrl: { ...url, description: 'Such as https://api.openai.com/v1.' },
    api: Type.Optional(Type.Union([Type.Literal('chat_completions'), Type.Literal('responses')])),
    model: text,
    apiKey: Type.Optional(
      Type.String({
        pattern: `^\\$\\{\\{ *secrets\\.${SECRET_NAME} *\\}\\}$`,
        expected: 'the name of a secret, such as ${{ secrets.OPENAI_KEY }}',
      }),
    ),
    headers: Type.Optional(headers),
    system: Type.Optional(text),
    prompt: text,
    outputSchema: Type.Optional(
      Type.Record(Type.String(), Type.Unknown(), { description: 'JSON Schema of the output.' }),
    ),
    tools: Type.Optional(Type.Array(Type.Union([mcpTool, builtInTool]), { maxItems: 20 })),
    limits: Type.Optional(
      closed({
        steps: Type.Optional(whole(1, 1_000, 'Calls of the model and of tools. Default: 20.')),
        tokens: Type.Optional(whole(1, 1_000_000_000, 'Input and output of all calls together.')),
        costCents: Type.Optional(cents('Of all calls together, by `prices`.')),
        duration: Type.Optional(duration('Without the time that people take to decide. Default: 10m.')),
      }),
    ),
    prices: Type.Optional(closed({ inputPerMillion: cents('Of tokens.'), outputPerMillion: cents('Of tokens.') })),
  }),
  a2a: closed({
    url: { ...url, description: 'URL of its agent card, or its origin.' },
    headers: Type.Optional(headers),
    timeout: Type.Optional(duration('From the message to the result. Default: 10m.')),
  }),
  workflow: closed({ workflow: text }),
  command: closed({
    command: text,
    args: Type.Optional(Type.Array(Type.String({ maxLength: 16_384 }), { maxItems: 64 })),
    timeout: Type.Optional(duration('Default: 1m.')),
    memoryMb: Type.Optional(whole(16, 65_536, 'Memory of the program and its children together. Default: 512.')),
  }),
} satisfies Readonly<Record<AgentRuntime, TObject>>;

/** The `config` of a runtime. */
export type ConfigOf<R extends AgentRuntime> = Static<(typeof agentConfigs)[R]>;

/** In words, for the description of `config`. */
export const configsInWords = Object.entries<TObject>(agentConfigs)
  .map(
    ([runtime, { properties, required = [] }]) =>
      `${runtime} { ${Object.keys(properties)
        .map((key) => `${key}${required.includes(key) ? '' : '?'}`)
        .join(', ')} }`,
  )
  .join(', ');
