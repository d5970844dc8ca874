import { isObject } from '#libs/kernel/src/json.js';
import type { ActionDefinition } from '#libs/plugin-sdk/src/define-action.js';

import { actionKeys, MAX_ACTIONS } from './actions.js';
import { MAX_CONDITIONS } from './condition-compiler.js';
import { operators } from './operators.js';

const text = (description: string, maxLength: number) => ({ type: 'string', minLength: 1, maxLength, description });
const conditions = { type: 'array', items: { $ref: '#/$defs/condition' }, maxItems: MAX_CONDITIONS };
const group = (key: string, schema: object) => ({
  type: 'object',
  required: [key],
  additionalProperties: false,
  properties: { [key]: schema },
});

/**
 * JSON Schema of a rule, for editors: what they complete and mark while somebody writes. Saving checks more than a schema
 * can say: that expressions parse, that patterns are linear, that the event type has the fields.
 * @param pluginActions what `type` of an action may be beside the built-in ones.
 */
export const ruleSchemaWith = (pluginActions: Iterable<ActionDefinition>) => ({
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'Millrace rule',
  type: 'object',
  required: ['name', 'eventType'],
  additionalProperties: false,
  properties: {
    name: text('Shown in lists and decisions.', 200),
    description: text('Why the rule is there.', 2_000),
    enabled: { type: 'boolean', default: true },
    eventSource: { ...text('A source, a glob or *.', 200), default: '*' },
    eventType: text('An event type, a glob such as pr.*, or *, which leaves out system types and webhook.*.', 200),
    conditions: { $ref: '#/$defs/condition' },
    actions: {
      type: 'array',
      maxItems: MAX_ACTIONS,
      items: { oneOf: [...actionSchemas(), ...[...pluginActions].map(pluginActionSchema)] },
    },
    throttle: {
      type: 'object',
      description: 'At most `limit` matches a `per` for each value of `key`.',
      required: ['limit', 'per'],
      additionalProperties: false,
      properties: {
        key: { type: 'string', description: 'A template: ${{ data.payload.host }}.' },
        limit: { type: 'integer', minimum: 1, maximum: 1_000_000 },
        per: { type: 'string', pattern: '^\\d+(ms|s|m|h|d)$' },
      },
    },
    once: {
      type: 'object',
      description: 'Of matches with the same key that follow each other within `quiet` the first alone acts.',
      required: ['quiet'],
      additionalProperties: false,
      properties: {
        key: { type: 'string', description: 'A template: ${{ data.payload.host }}.' },
        quiet: { type: 'string', pattern: '^\\d+(ms|s|m|h|d)$' },
      },
    },
    debounce: {
      type: 'object',
      description:
        'Of matches with the same key that follow each other within `quiet` the last alone acts, once `quiet` has passed or `maxWait` after the first. Not beside `once`.',
      required: ['quiet'],
      additionalProperties: false,
      properties: {
        key: { type: 'string', description: 'A template: ${{ data.payload.host }}.' },
        quiet: { type: 'string', pattern: '^\\d+(ms|s|m|h|d)$' },
        maxWait: { type: 'string', pattern: '^\\d+(ms|s|m|h|d)$' },
      },
    },
    window: {
      type: 'object',
      description: 'Days and hours at which the rule acts, by the time at which the event was recorded.',
      additionalProperties: false,
      properties: {
        days: { type: 'array', minItems: 1, items: { enum: ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] } },
        from: { type: 'string', pattern: '^([01]\\d|2[0-3]):[0-5]\\d$', default: '00:00' },
        to: { type: 'string', pattern: '^(([01]\\d|2[0-3]):[0-5]\\d|24:00)$', default: '24:00' },
        timezone: { type: 'string', default: 'UTC', description: 'Such as Europe/Berlin.' },
      },
    },
  },
  not: { required: ['once', 'debounce'] },
  $defs: {
    condition: {
      oneOf: [
        group('all', conditions),
        group('any', { ...conditions, minItems: 1 }),
        group('not', { $ref: '#/$defs/condition' }),
        group('expression', text('JMESPath over the event; true by the rules of JMESPath.', 4_096)),
        {
          type: 'object',
          required: ['field', 'operator'],
          additionalProperties: false,
          properties: {
            field: text('JMESPath over the event: data.payload.severity.', 4_096),
            operator: { enum: operators },
            value: { description: 'What the field is compared with; exists and not_exists take none.' },
          },
        },
      ],
    },
  },
});

/** Of rules that name built-in actions alone. */
export const ruleSchema = ruleSchemaWith([]);

function actionSchemas() {
  return Object.entries(actionKeys).map(([type, keys]) => ({
    type: 'object',
    required: ['type', ...(Object.values(keys).includes(true) ? ['with'] : [])],
    additionalProperties: false,
    properties: {
      type: { const: type },
      with: {
        type: 'object',
        required: Object.keys(keys).filter((key) => keys[key]),
        additionalProperties: false,
        properties: Object.fromEntries(Object.keys(keys).map((key) => [key, {}])),
      },
    },
  }));
}

/** The keys alone: their values may be templates, of which nobody knows yet what they give. */
function pluginActionSchema({ name, description, inputSchema }: ActionDefinition) {
  const { properties, required, additionalProperties }: Readonly<Record<string, unknown>> = inputSchema;
  const keys = isObject(properties) ? Object.entries(properties) : [];
  const needed = Array.isArray(required) ? (required as readonly unknown[]) : [];
  return {
    type: 'object',
    description,
    required: ['type', ...(needed.length > 0 ? ['with'] : [])],
    additionalProperties: false,
    properties: {
      type: { const: name, description },
      with: {
        type: 'object',
        required: needed,
        properties: Object.fromEntries(keys.map(([key, schema]) => [key, described(schema)])),
        ...(additionalProperties === false && { additionalProperties }),
      },
    },
  };
}

const described = (schema: unknown): object =>
  isObject(schema) && typeof schema['description'] === 'string' ? { description: schema['description'] } : {};
