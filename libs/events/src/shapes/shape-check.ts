import type { TSchema } from '@sinclair/typebox';
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import addFormats from 'ajv-formats';

import type { Problem } from '#libs/kernel/src/errors.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { isObject, pointerToken } from '#libs/kernel/src/json.js';
import { nearest, suggestion } from '#libs/kernel/src/text/nearest.js';

/** One way in which a value does not fit its schema. */
export interface ShapeProblem extends Problem {
  /** `<prefix>.unknown_key`, `missing_key`, `too_large` (of a list) or `bad_value`. */
  readonly code: string;
  /** Whether the key is wrong rather than its value. */
  readonly isKey: boolean;
}

export type IsOpen = (value: unknown) => boolean | 'text';

export interface ShapeCheckOptions {
  /** How the codes begin: the thing that is checked, such as `workflow` or `webhook`. */
  readonly prefix: string;
  /** JSON pointer of the value in the caller's document. Default: the document itself. */
  readonly pointer?: string;
  /**
   * Tells values that are not known yet, such as templates: what depends on one is left out. `'text'` where it is known
   * that the value will be a text.
   */
  readonly isOpen?: IsOpen;
  /** Leave out what was found: it may be anybody's, and the problems are kept. */
  readonly hidesValues?: boolean;
}

// Schemas of different plug-ins may share an `$id`. `jmespath` marks expressions, which are checked where they are compiled.
const ajv = new Ajv({ strict: false, allErrors: true, verbose: true, addUsedSchema: false, logger: false });
(addFormats as unknown as (to: Ajv) => void)(ajv);
ajv.addFormat('jmespath', true);
const compiled = new WeakMap<TSchema, ValidateFunction>();

/** Uses another compiler for a schema, once: such as that of a newer draft. @throws what `compile` throws */
export function keepCompiled(schema: TSchema, compile: () => ValidateFunction): void {
  if (!compiled.has(schema)) compiled.set(schema, compile());
}

/** @throws Error if the schema is none. */
export function compileShape(schema: TSchema): ValidateFunction {
  let validate = compiled.get(schema);
  if (!validate) compiled.set(schema, (validate = ajv.compile(schema)));
  return validate;
}

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
  { prefix, pointer = '', isOpen, hidesValues = false }: ShapeCheckOptions,
): readonly ShapeProblem[] {
  const validate = compileShape(schema);
  if (validate(value)) return [];
  const found = new Map<string, ShapeProblem>();
  const errors = withoutOtherAlternatives(validate.errors ?? []);
  for (const error of errors) {
    if (isMisspelt(error, errors)) continue;
    if (isOpen && dependsOnOpen(error, isOpen)) continue;
    const problem = inWords(error, prefix, pointer, hidesValues);
    if (!found.has(problem.pointer)) found.set(problem.pointer, problem);
  }
  if (found.size === 0 && !isOpen)
    return [{ pointer, code: `${prefix}.bad_value`, detail: 'Must fit its schema.', isKey: false }];
  return [...found.values()];
}

/** The way to the error through the schema, without names of properties: one may be called `anyOf`. */
const keywordsOf = ({ schemaPath }: ErrorObject): string =>
  schemaPath.replaceAll(/\/(properties|patternProperties)\/[^/]+/g, '');

/** Most errors that are looked at. A long list may have as many as it has entries. */
const MOST_ERRORS = 1_000;

/**
 * Of several alternatives only the intended one is reported: the only one that has the type of the value. Where there is
 * none, or the schema words itself, the report is that none fits.
 */
function withoutOtherAlternatives(all: readonly ErrorObject[]): readonly ErrorObject[] {
  const errors = all.slice(0, MOST_ERRORS).filter((one) => one.keyword !== 'if' && !/\/not\/./.test(keywordsOf(one)));
  const unions = errors
    .filter(({ keyword }) => keyword === 'anyOf' || keyword === 'oneOf')
    .map((error) => ({ error, at: error.instancePath, path: `${keywordsOf(error)}/`, meant: optionMeant(error) }));
  return errors.filter((error) => {
    const path = keywordsOf(error);
    return unions.every((union) => {
      if (union.error === error) return union.meant === undefined;
      const isWithin = path.startsWith(union.path) && `${error.instancePath}/`.startsWith(`${union.at}/`);
      return !isWithin || path.startsWith(`${union.path}${union.meant}/`);
    });
  });
}

function optionMeant(error: ErrorObject): number | undefined {
  if ((error.parentSchema as { expected?: string }).expected !== undefined) return undefined;
  const key = discriminatorOf(error);
  if (key !== undefined && isObject(error.data)) {
    const meant = optionsOf(error).findIndex(
      ({ properties }) => properties?.[key]?.const === (error.data as Json)[key],
    );
    return meant < 0 ? undefined : meant;
  }
  const given = typeOf(error.data);
  const isRight = ({ type }: { type?: unknown }): boolean =>
    type === given || (type === 'integer' && given === 'number');
  const options = optionsOf(error);
  return options.filter(isRight).length === 1 ? options.findIndex(isRight) : undefined;
}

type Json = Readonly<Record<string, unknown>>;

/** The key that tells alternatives apart: each of them is an object that has it with a value that is not derived, such as `kind`. */
function discriminatorOf(error: ErrorObject): string | undefined {
  const [first, ...others] = optionsOf(error);
  const keys = Object.entries(first?.properties ?? {}).filter(([, schema]) => schema.const !== undefined);
  return keys.find(([key]) => others.every(({ properties }) => properties?.[key]?.const !== undefined))?.[0];
}

const typeOf = (value: unknown): string => (value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value);

/** Whether the error may vanish once the values are known that are open now. */
function dependsOnOpen(error: ErrorObject, isOpen: IsOpen): boolean {
  // What follows from a condition is not known to follow.
  if (/\/(then|else)\//.test(keywordsOf(error))) return true;
  if (error.keyword === 'type') return isOpen(error.data) === true;
  return OF_THE_STRUCTURE.has(error.keyword) ? isOpen(error.data) !== false : holdsOpen(error.data, isOpen);
}

/** Of a list or an object these look at how it is built, which is known before its values are. */
const OF_THE_STRUCTURE = new Set([
  'required',
  'additionalProperties',
  'propertyNames',
  'dependentRequired',
  'minProperties',
  'maxProperties',
  'minItems',
  'maxItems',
  'additionalItems',
]);

const holdsOpen = (value: unknown, isOpen: IsOpen): boolean => {
  if (isOpen(value) !== false) return true;
  if (Array.isArray(value)) return value.some((item) => holdsOpen(item, isOpen));
  return isObject(value) && Object.values(value).some((item) => holdsOpen(item, isOpen));
};

/** A required key that is there under a name that is almost right: the problem of the unknown key says so. */
const isMisspelt = (missing: ErrorObject, errors: readonly ErrorObject[]): boolean =>
  missing.keyword === 'required' &&
  errors.some(({ keyword, instancePath, params, parentSchema }) => {
    if (keyword !== 'additionalProperties' || instancePath !== missing.instancePath) return false;
    const allowed = Object.keys((parentSchema as { properties?: object }).properties ?? {});
    const given = String((params as Record<string, unknown>)['additionalProperty']);
    return nearest(given, allowed) === (missing.params as Record<string, unknown>)['missingProperty'];
  });

function inWords(error: ErrorObject, prefix: string, root: string, hidesValues: boolean): ShapeProblem {
  const pointer = root + error.instancePath;
  const schema = error.parentSchema as
    | { expected?: string; properties?: Readonly<Record<string, { expected?: string }>>; writeOnly?: boolean }
    | undefined;
  const params = error.params as Record<string, unknown>;
  if (error.keyword === 'additionalProperties') {
    const key = String(params['additionalProperty']);
    const allowed = Object.keys(schema?.properties ?? {});
    const isName = allowed.length === 0 && schema?.expected !== undefined;
    return {
      pointer: `${pointer}/${pointerToken(key)}`,
      code: `${prefix}.unknown_key`,
      detail: isName
        ? `The name "${key}" is invalid. Must be ${schema.expected}.`
        : `Unknown key "${key}". ${suggestion(key, allowed)}Allowed: ${allowed.join(', ') || 'none'}.`,
      isKey: true,
    };
  }
  if (error.keyword === 'required' || error.keyword === 'dependentRequired') {
    const key = String(params['missingProperty']);
    const wanted = schema?.properties?.[key]?.expected;
    return {
      pointer: `${pointer}/${pointerToken(key)}`,
      code: `${prefix}.missing_key`,
      detail: `"${key}" is required${wanted === undefined ? '' : `: ${wanted}`}.`,
      isKey: false,
    };
  }
  const key = error.keyword === 'anyOf' || error.keyword === 'oneOf' ? discriminatorOf(error) : undefined;
  if (key !== undefined && isObject(error.data)) {
    const allowed = optionsOf(error).map(({ properties }) => String(properties![key]!.const));
    const given = error.data[key];
    const detail =
      given === undefined
        ? `"${key}" is required: one of ${allowed.join(', ')}.`
        : `Must be one of ${allowed.join(', ')}. ${typeof given === 'string' ? suggestion(given, allowed) : ''}`.trim();
    const code = `${prefix}.${given === undefined ? 'missing_key' : 'bad_value'}`;
    return { pointer: `${pointer}/${pointerToken(key)}`, code, detail, isKey: false };
  }
  const shown = hidesValues || schema?.writeOnly === true ? '' : ` ${got(error.data)}${intended(error)}`;
  const wanted = wantedBy(error, schema?.expected);
  const detail = `${wanted === undefined ? sentence(error.message ?? 'must fit its schema') : `Must be ${wanted}`}.${shown}`;
  const code = `${prefix}.${error.keyword === 'maxItems' ? 'too_large' : 'bad_value'}`;
  return { pointer, code, detail, isKey: false };
}

/** What must be there; of a list that is too long also how long it may be. */
function wantedBy(error: ErrorObject, own: string | undefined): string | undefined {
  if (own === undefined) return expected(error);
  const { limit } = error.params as { limit?: number };
  return error.keyword === 'maxItems' ? `${own} with at most ${counted(limit, 'entry', 'entries')}` : own;
}

function expected(error: ErrorObject): string | undefined {
  const params = error.params as Record<string, unknown>;
  switch (error.keyword) {
    case 'type':
      return params['type'] === 'object' ? objectInWords(error.parentSchema as object) : typeInWords(params['type']);
    case 'const':
      return stringifyJson(params['allowedValue']);
    case 'enum':
      return `one of ${(params['allowedValues'] as unknown[]).join(', ')}`;
    case 'anyOf':
    case 'oneOf':
      return `one of ${optionsOf(error)
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
    case 'uniqueItems':
      return 'a list without duplicates';
    default:
      return undefined;
  }
}

const optionsOf = ({ schema }: ErrorObject) =>
  schema as readonly {
    const?: unknown;
    type?: unknown;
    properties?: Readonly<Record<string, { const?: unknown }>>;
  }[];

/** Which of the values that are allowed a string is almost. */
function intended(error: ErrorObject): string {
  if (typeof error.data !== 'string') return '';
  const { allowedValues } = error.params as { allowedValues?: unknown[] };
  const isUnion = error.keyword === 'anyOf' || error.keyword === 'oneOf';
  const allowed = isUnion ? optionsOf(error).flatMap((one) => ('const' in one ? [one.const] : [])) : allowedValues;
  return ` ${suggestion(error.data, (allowed ?? []).map(String))}`.trimEnd();
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

const sentence = (message: string): string => message.charAt(0).toUpperCase() + message.slice(1);

/** With its keys, where they are few. */
function objectInWords({
  properties = {},
  required = [],
}: {
  properties?: object;
  required?: readonly string[];
}): string {
  const keys = Object.keys(properties).map((key) => (required.includes(key) ? key : `${key}?`));
  return keys.length === 0 || keys.length > 6 ? 'an object' : `an object { ${keys.join(', ')} }`;
}

const typeInWords = (type: unknown): string =>
  [type]
    .flat()
    .map((one) => TYPES[String(one)] ?? String(one))
    .join(' or ');

/** What was given, in a sentence. */
export function got(value: unknown): string {
  if (value === null || value === undefined) return 'Got nothing.';
  if (Array.isArray(value))
    return value.length === 0 ? 'Got an empty list.' : `Got a list of ${counted(value.length, 'entry', 'entries')}.`;
  if (isObject(value)) return Object.keys(value).length === 0 ? 'Got an empty object.' : 'Got an object.';
  if (typeof value === 'string' && value.length > 60)
    return `Got ${stringifyJson(value.slice(0, 40))}…, ${value.length} characters.`;
  return `Got ${stringifyJson(value)}.`;
}
