import type { TSchema } from '@sinclair/typebox';
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import addFormats from 'ajv-formats';

import type { Problem } from '#libs/kernel/src/errors.js';
import { isObject, pointerToken } from '#libs/kernel/src/json.js';
import { suggestion } from '#libs/kernel/src/nearest.js';

// Actions of different plug-ins may well use the same `$id`.
const ajv = new Ajv({ strict: false, allErrors: true, verbose: true, logger: false, addUsedSchema: false });
(addFormats as unknown as (to: Ajv) => void)(ajv);
const compiled = new WeakMap<object, ValidateFunction>();

/** @throws Error if the schema is none. */
export function compileInputSchema(schema: TSchema): ValidateFunction {
  let validate = compiled.get(schema);
  if (!validate) compiled.set(schema, (validate = ajv.compile(schema)));
  return validate;
}

/** Most problems of one input that are told. */
const MOST = 20;

/**
 * In what the input of an action differs from its schema; pointers are below `root`. Says what is expected and never
 * what was found, since that may be anybody's. Empty if it fits.
 * @param isOpen tells values that are not known yet: what depends on one is left out.
 */
export function inputProblems(
  schema: TSchema,
  input: unknown,
  root = '',
  isOpen?: (value: unknown) => boolean,
): readonly Problem[] {
  const validate = compileInputSchema(schema);
  if (validate(input)) return [];
  const problems = new Map<string, Problem>();
  for (const error of validate.errors ?? []) {
    // An alternative is told as a whole, and what must not be as well.
    if (isWithinAlternative(error)) continue;
    // What follows from a condition is not known to follow.
    if (isOpen && /\/(then|else)\//.test(keywordsOf(error))) continue;
    if (isOpen && (dependsOnValue(error) ? holdsOpen(error.data, isOpen) : isOpen(error.data))) continue;
    const problem = inWords(error, root);
    if (!problems.has(problem.pointer)) problems.set(problem.pointer, problem);
    if (problems.size === MOST) break;
  }
  if (problems.size === 0 && !isOpen) return [{ pointer: root, detail: 'does not fit the inputSchema of the action.' }];
  return [...problems.values()];
}

const isWithinAlternative = (error: ErrorObject): boolean =>
  error.keyword === 'if' || /\/(anyOf|oneOf|not)\/./.test(keywordsOf(error));

/** The way to the error through the schema. Names of properties are anybody's, and may be those of keywords. */
const keywordsOf = ({ schemaPath }: ErrorObject): string =>
  schemaPath.replaceAll(/\/(properties|patternProperties)\/[^/]+/g, '');

/** Of a list or an object these look at how it is built, which is known before its values are. */
const OF_THE_SHAPE = new Set([
  'type',
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

const dependsOnValue = ({ keyword }: ErrorObject): boolean => !OF_THE_SHAPE.has(keyword);

const holdsOpen = (value: unknown, isOpen: (value: unknown) => boolean): boolean => {
  if (isOpen(value)) return true;
  if (Array.isArray(value)) return value.some((item) => holdsOpen(item, isOpen));
  return isObject(value) && Object.values(value).some((item) => holdsOpen(item, isOpen));
};

function inWords(error: ErrorObject, root: string): Problem {
  const { keyword, instancePath, params, schema, parentSchema, message = 'is not right' } = error;
  const pointer = root + instancePath;
  const { additionalProperty, missingProperty, allowedValues } = params as Record<string, unknown>;
  if (keyword === 'required' || keyword === 'dependentRequired')
    return { pointer: `${pointer}/${pointerToken(String(missingProperty))}`, detail: 'is missing.' };
  if (keyword === 'additionalProperties') {
    const allowed = Object.keys((parentSchema as { properties?: object } | undefined)?.properties ?? {});
    const key = String(additionalProperty);
    return {
      pointer: `${pointer}/${pointerToken(key)}`,
      detail: `is not known here. ${suggestion(key, allowed)}Allowed: ${allowed.join(', ') || 'nothing'}.`,
      code: 'rule.unknown_key',
    };
  }
  const allowed = keyword === 'enum' ? allowedValues : literalsOf(keyword, schema);
  if (Array.isArray(allowed))
    return { pointer, detail: `must be one of ${allowed.map((one) => JSON.stringify(one)).join(', ')}.` };
  return { pointer, detail: `${message}.` };
}

/** What typebox makes of a union of literals. */
function literalsOf(keyword: string, schema: unknown): readonly unknown[] | undefined {
  if ((keyword !== 'anyOf' && keyword !== 'oneOf') || !Array.isArray(schema)) return undefined;
  const literals = schema.flatMap((one: unknown) => (isObject(one) && 'const' in one ? [one['const']] : []));
  return literals.length === schema.length ? literals : undefined;
}
