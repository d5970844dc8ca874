import type { TSchema } from '@sinclair/typebox';
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';

import { isObject, pointerToken } from '#libs/kernel/src/json.js';
import { nearest, suggestion } from '#libs/kernel/src/nearest.js';

/** One way in which a value does not fit a schema, in words. */
export interface Misfit {
  readonly pointer: string;
  readonly code: string;
  readonly detail: string;
  /** Whether the key is wrong rather than its value. */
  readonly key: boolean;
}

// `jmespath` marks expressions, which are checked where they are compiled.
const ajv = new Ajv({ strict: false, allErrors: true, verbose: true, formats: { jmespath: true } });
const compiled = new WeakMap<TSchema, ValidateFunction>();

/** What does not fit; empty if all does. Each place is named once. */
export function misfits(schema: TSchema, value: unknown, root = ''): readonly Misfit[] {
  let validate = compiled.get(schema);
  if (!validate) compiled.set(schema, (validate = ajv.compile(schema)));
  if (validate(value)) return [];
  const found = new Map<string, Misfit>();
  // What stands inside an alternative is left out: the alternative as a whole is worded by its own schema.
  for (const error of validate.errors ?? []) {
    if (/\/(anyOf|oneOf)\/\d+\//.test(error.schemaPath)) continue;
    const misfit = wordOf(error, root);
    if (error.keyword === 'required' && isMisspelt(error, validate.errors ?? [])) continue;
    if (!found.has(misfit.pointer)) found.set(misfit.pointer, misfit);
  }
  return [...found.values()];
}

/** A key that is missing because it is there under a name that is almost right: the other message says so. */
const isMisspelt = (missing: ErrorObject, errors: readonly ErrorObject[]): boolean =>
  errors.some(({ keyword, instancePath, params, parentSchema }) => {
    if (keyword !== 'additionalProperties' || instancePath !== missing.instancePath) return false;
    const allowed = Object.keys((parentSchema as { properties?: object }).properties ?? {});
    const given = String((params as Record<string, unknown>)['additionalProperty']);
    return nearest(given, allowed) === (missing.params as Record<string, unknown>)['missingProperty'];
  });

function wordOf(error: ErrorObject, root: string): Misfit {
  const pointer = root + error.instancePath;
  const schema = error.parentSchema as { expected?: string; properties?: object } | undefined;
  const params = error.params as Record<string, unknown>;
  if (error.keyword === 'additionalProperties') {
    const key = String(params['additionalProperty']);
    const allowed = Object.keys(schema?.properties ?? {});
    return {
      pointer: `${pointer}/${pointerToken(key)}`,
      code: 'workflow.unknown_key',
      detail: `"${key}" is not known here. ${suggestion(key, allowed)}Allowed: ${allowed.join(', ')}.`,
      key: true,
    };
  }
  if (error.keyword === 'required') {
    const key = String(params['missingProperty']);
    return { pointer, code: 'workflow.missing_key', detail: `"${key}" is missing.`, key: false };
  }
  return {
    pointer,
    code: 'workflow.bad_value',
    detail: `Must be ${expected(error, schema?.expected)}.${got(error.data)}`,
    key: false,
  };
}

function expected(error: ErrorObject, worded: string | undefined): string {
  if (error.keyword === 'minItems') return 'a list that is not empty';
  if (worded !== undefined) return worded;
  const params = error.params as Record<string, unknown>;
  switch (error.keyword) {
    case 'type':
      return TYPES[String(params['type'])] ?? String(params['type']);
    case 'const':
      return JSON.stringify(params['allowedValue']);
    case 'enum':
      return `one of ${(params['allowedValues'] as string[]).join(', ')}`;
    case 'anyOf': {
      const literals = (error.schema as { const?: string; type?: string }[]).map(
        (option) => option.const ?? TYPES[option.type ?? ''] ?? option.type,
      );
      return `one of ${literals.join(', ')}`;
    }
    case 'minLength':
      return 'a text that is not empty';
    default:
      return (error.message ?? 'otherwise').replace(/^must (be )?/, '');
  }
}

const TYPES: Readonly<Record<string, string>> = {
  string: 'a text',
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a mapping',
  null: 'empty',
};

function got(value: unknown): string {
  if (value === null || value === undefined || (Array.isArray(value) && value.length === 0)) return ' It is empty.';
  if (Array.isArray(value)) return ' It is a list.';
  if (isObject(value)) return ' It is a mapping.';
  const text = JSON.stringify(value);
  return ` It is ${text.length > 60 ? `${text.slice(0, 60)}…` : text}.`;
}
