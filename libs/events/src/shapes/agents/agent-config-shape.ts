import { type Static, type TObject, Type } from '@sinclair/typebox';

import { DURATION_IN_WORDS, DURATION_PATTERN } from '#libs/kernel/src/time/durations.js';

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

/** What `config` holds, by runtime: the only place where it is written. */
export const agentConfigs = {
  http: closed({
    url,
    headers: Type.Optional(headers),
    timeout: Type.Optional(duration('From the first call to the result. Default: 5m.')),
    maxAttempts: Type.Optional(whole(1, 20, 'How often it is called at most. Default: 3.')),
  }),
  openai: closed({ baseUrl: url, model: text, prompt: Type.Optional(text) }),
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
