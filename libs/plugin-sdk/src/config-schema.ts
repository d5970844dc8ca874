import { type TSchema, Type } from '@sinclair/typebox';

import type { ProviderConfig } from './define-provider.js';

const NOTHING: ProviderConfig = { properties: {} };
const known = new WeakMap<ProviderConfig, TSchema>();

/** What `config` of an integration must be for a provider. Unknown keys are problems: a misspelt one would do nothing. */
export function configShape(config: ProviderConfig = NOTHING): TSchema {
  let shape = known.get(config);
  if (!shape) known.set(config, (shape = shapeOf(config)));
  return shape;
}

function shapeOf({ properties, required = [], secrets = [] }: ProviderConfig): TSchema {
  // Nobody but the platform writes a reference: one that was sent in would read somebody else's secret.
  const closed = Object.entries(properties).map(([key, schema]) => [
    key,
    { allOf: [schema, secrets.includes(key) ? { type: 'string' } : NO_REFERENCE] },
  ]);
  const each = Object.fromEntries(closed) as object;
  return Type.Unsafe({ type: 'object', properties: each, required, additionalProperties: false });
}

const NO_REFERENCE = { not: { type: 'object', required: ['$secret'] }, expected: 'a value without the key $secret' };
