import { isObject } from '#libs/kernel/src/json.js';

/** As much of JSON Schema as tells which fields a value can have. */
export interface JsonSchema {
  readonly type?: unknown;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly patternProperties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: unknown;
  readonly items?: unknown;
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly allOf?: readonly JsonSchema[];
}

const alternatives = (schema: JsonSchema): readonly JsonSchema[] => [
  ...(schema.anyOf ?? []),
  ...(schema.oneOf ?? []),
  ...(schema.allOf ?? []),
];

/** One schema for a value that may be as any of several; `undefined` (anything) if one of them is. */
function anyOf(schemas: readonly (JsonSchema | undefined)[]): JsonSchema | undefined {
  const known = schemas.filter((schema) => schema !== undefined);
  if (known.length < schemas.length || known.length === 0) return undefined;
  return known.length === 1 ? known[0] : { anyOf: known };
}

/**
 * The schema of one field: `undefined` where anything may be, `'unknown'` where the schema has no such field. A schema
 * that lists properties means these and no others, unless it says `additionalProperties`.
 */
export function fieldOf(schema: JsonSchema, name: string): JsonSchema | undefined | 'unknown' {
  const among = alternatives(schema);
  if (among.length > 0) {
    const found = [...among.map((each) => fieldOf(each, name)), ...(schema.properties ? [ownField(schema, name)] : [])];
    const known = found.filter((each) => each !== 'unknown');
    return known.length === 0 ? 'unknown' : anyOf(known);
  }
  return ownField(schema, name);
}

function ownField(schema: JsonSchema, name: string): JsonSchema | undefined | 'unknown' {
  const { properties = {}, additionalProperties } = schema;
  if (Object.hasOwn(properties, name)) return properties[name];
  if (schema.patternProperties !== undefined) return anyOf(Object.values(schema.patternProperties));
  if (isObject(additionalProperties)) return additionalProperties;
  if (additionalProperties === true) return undefined;
  if (schema.type === undefined || (schema.type === 'object' && Object.keys(properties).length === 0)) return undefined;
  return 'unknown';
}

/** Whether every value of the schema has the field. */
export function isAlwaysThere(schema: JsonSchema, name: string): boolean {
  if (schema.required?.includes(name) === true || schema.allOf?.some((each) => isAlwaysThere(each, name))) return true;
  const among = [...(schema.anyOf ?? []), ...(schema.oneOf ?? [])];
  return among.length > 0 && among.every((each) => isAlwaysThere(each, name));
}

/** Names of all fields that a value can have. */
export function fieldsOf(schema: JsonSchema): readonly string[] {
  return [
    ...new Set([...Object.keys(schema.properties ?? {}), ...alternatives(schema).flatMap((each) => fieldsOf(each))]),
  ];
}

/** The schema of an array's elements; `undefined` if it is not known. */
export function itemsOf(schema: JsonSchema | undefined): JsonSchema | undefined {
  if (!schema) return undefined;
  const among = alternatives(schema).filter((each) => each.type === 'array');
  if (among.length > 0) return anyOf(among.map(itemsOf));
  return isObject(schema.items) ? schema.items : undefined;
}

/** The schema of an object's values; `undefined` if it is not known. */
export function valuesOf(schema: JsonSchema | undefined): JsonSchema | undefined {
  if (schema?.patternProperties) return anyOf(Object.values(schema.patternProperties));
  if (!schema?.properties || schema.additionalProperties === true) return undefined;
  return anyOf(Object.values(schema.properties));
}
