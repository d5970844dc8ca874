import type { TSchema } from '@sinclair/typebox';
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import addFormats from 'ajv-formats';

import type { Problem } from '#libs/kernel/src/errors.js';
import { isObject, pointerToken } from '#libs/kernel/src/json.js';
import { nearest, suggestion } from '#libs/kernel/src/nearest.js';

/** One way in which a value does not fit its schema. */
export interface ShapeProblem extends Problem {
  /** `<prefix>.unknown_key`, `<prefix>.missing_key` or `<prefix>.bad_value`. */
  readonly code: string;
  /** Whether the key is wrong rather than its value. */
  readonly isKey: boolean;
}

export interface ShapeCheckOptions {
  /** How the codes begin: the thing that is checked, such as `workflow` or `webhook`. */
  readonly prefix: string;
  /** JSON pointer of the value in the caller's document. Default: the document itself. */
  readonly pointer?: string;
}

// Schemas of different plug-ins may share an `$id`. `jmespath` marks expressions, which are checked where they are compiled.
const ajv = new Ajv({ strict: false, allErrors: true, verbose: true, addUsedSchema: false, logger: false });
(addFormats as unknown as (to: Ajv) => void)(ajv);
ajv.addFormat('jmespath', true);
const compiled = new WeakMap<TSchema, ValidateFunction>();

/**
 * Checks a value against a TypeBox schema and says in words what must change: each place once, with the nearest key
 * where one is misspelt. Empty if the value fits.
 *
 * A schema words itself for people through `expected: 'a duration such as 30s'`. The value of a `writeOnly` schema, a
 * secret, is never repeated in a message.
 */
export function shapeProblems(
  schema: TSchema,
  value: unknown,
  { prefix, pointer = '' }: ShapeCheckOptions,
): readonly ShapeProblem[] {
  let validate = compiled.get(schema);
  if (!validate) compiled.set(schema, (validate = ajv.compile(schema)));
  if (validate(value)) return [];
  const found = new Map<string, ShapeProblem>();
  const errors = validate.errors ?? [];
  for (const error of errors) {
    // The alternative as a whole is worded by its own schema.
    if (isWithinAlternative(error) || isMisspelt(error, errors)) continue;
    const problem = inWords(error, prefix, pointer);
    if (!found.has(problem.pointer)) found.set(problem.pointer, problem);
  }
  return [...found.values()];
}

/** Names of properties are left out of the path: a property may be called `anyOf`. */
const isWithinAlternative = ({ schemaPath }: ErrorObject): boolean =>
  /\/(anyOf|oneOf)\/\d+\//.test(schemaPath.replaceAll(/\/(properties|patternProperties)\/[^/]+/g, ''));

/** A required key that is there under a name that is almost right: the problem of the unknown key says so. */
const isMisspelt = (missing: ErrorObject, errors: readonly ErrorObject[]): boolean =>
  missing.keyword === 'required' &&
  errors.some(({ keyword, instancePath, params, parentSchema }) => {
    if (keyword !== 'additionalProperties' || instancePath !== missing.instancePath) return false;
    const allowed = Object.keys((parentSchema as { properties?: object }).properties ?? {});
    const given = String((params as Record<string, unknown>)['additionalProperty']);
    return nearest(given, allowed) === (missing.params as Record<string, unknown>)['missingProperty'];
  });

function inWords(error: ErrorObject, prefix: string, root: string): ShapeProblem {
  const pointer = root + error.instancePath;
  const schema = error.parentSchema as { expected?: string; properties?: object; writeOnly?: boolean } | undefined;
  const params = error.params as Record<string, unknown>;
  if (error.keyword === 'additionalProperties') {
    const key = String(params['additionalProperty']);
    const allowed = Object.keys(schema?.properties ?? {});
    return {
      pointer: `${pointer}/${pointerToken(key)}`,
      code: `${prefix}.unknown_key`,
      detail: `Unknown key "${key}". ${suggestion(key, allowed)}Allowed: ${allowed.join(', ') || 'none'}.`,
      isKey: true,
    };
  }
  if (error.keyword === 'required') {
    const key = String(params['missingProperty']);
    return { pointer, code: `${prefix}.missing_key`, detail: `"${key}" is required.`, isKey: false };
  }
  const shown = schema?.writeOnly === true ? '' : ` ${got(error.data)}`;
  const detail = `Must be ${schema?.expected ?? expected(error)}.${shown}`;
  return { pointer, code: `${prefix}.bad_value`, detail, isKey: false };
}

function expected(error: ErrorObject): string {
  const params = error.params as Record<string, unknown>;
  switch (error.keyword) {
    case 'type':
      return typeInWords(params['type']);
    case 'const':
      return JSON.stringify(params['allowedValue']);
    case 'enum':
      return `one of ${(params['allowedValues'] as unknown[]).join(', ')}`;
    case 'anyOf':
    case 'oneOf':
      return `one of ${(error.schema as { const?: unknown; type?: unknown }[])
        .map((option) => ('const' in option ? String(option.const) : typeInWords(option.type)))
        .join(', ')}`;
    case 'format':
      return FORMATS[String(params['format'])] ?? `in the format ${String(params['format'])}`;
    case 'minItems':
      return `a list with at least ${counted(params['limit'], 'entry', 'entries')}`;
    case 'maxItems':
      return `a list with at most ${counted(params['limit'], 'entry', 'entries')}`;
    case 'minLength':
      return params['limit'] === 1 ? 'a string that is not empty' : `at least ${counted(params['limit'], 'character')}`;
    case 'maxLength':
      return `at most ${counted(params['limit'], 'character')}`;
    case 'minimum':
      return `at least ${String(params['limit'])}`;
    case 'maximum':
      return `at most ${String(params['limit'])}`;
    default:
      return (error.message ?? 'valid').replace(/^must (be )?/, '');
  }
}

const counted = (count: unknown, one: string, many = `${one}s`): string =>
  `${String(count)} ${count === 1 ? one : many}`;

const TYPES: Readonly<Record<string, string>> = {
  string: 'a string',
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  null: 'null',
};
const FORMATS: Readonly<Record<string, string>> = {
  uri: 'a URL',
  'date-time': 'an RFC 3339 time such as 2026-11-20T09:00:00Z',
  email: 'an e-mail address',
};

const typeInWords = (type: unknown): string =>
  [type]
    .flat()
    .map((one) => TYPES[String(one)] ?? String(one))
    .join(' or ');

function got(value: unknown): string {
  if (value === null || value === undefined) return 'Got nothing.';
  if (Array.isArray(value)) return value.length === 0 ? 'Got an empty list.' : 'Got a list.';
  if (isObject(value)) return 'Got an object.';
  const text = JSON.stringify(value);
  return `Got ${text.length > 60 ? `${text.slice(0, 60)}…` : text}.`;
}
