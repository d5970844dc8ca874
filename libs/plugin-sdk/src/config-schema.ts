import { Ajv, type ValidateFunction } from 'ajv';
import addFormats from 'ajv-formats';

import type { ProviderConfig } from './define-provider.js';

const NOTHING: ProviderConfig = { properties: {} };
const compiled = new WeakMap<ProviderConfig, ValidateFunction>();

/**
 * What tells whether `config` of an integration is as its provider wants it: compiled once. Unknown keys are problems: a
 * misspelt one would do nothing.
 * @throws Error if the schema of a key is none.
 */
export function configCheck(config: ProviderConfig = NOTHING): ValidateFunction {
  const known = compiled.get(config);
  if (known) return known;
  // One for each: two providers may use the same `$id`.
  const ajv = new Ajv({ strict: false, allErrors: true });
  addFormats.default(ajv);
  const validate = ajv.compile(schemaOf(config));
  compiled.set(config, validate);
  return validate;
}

function schemaOf({ properties, required = [], secrets = [] }: ProviderConfig): object {
  // Nobody but the platform writes a reference: one that was sent in would read somebody else's secret.
  const closed = Object.entries(properties).map(([key, schema]) => [
    key,
    {
      allOf: [schema, secrets.includes(key) ? { type: 'string' } : { not: { type: 'object', required: ['$secret'] } }],
    },
  ]);
  return { type: 'object', properties: Object.fromEntries(closed) as object, required, additionalProperties: false };
}
