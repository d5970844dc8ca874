import { fieldOf, type JsonSchema } from '#libs/expressions/src/schema.js';
import { isObject, pointerToken } from '#libs/kernel/src/json.js';
import { suggestion } from '#libs/kernel/src/nearest.js';

import type { RuleWarning } from './warnings.js';

/** A field by its path; what computes is not looked at. */
const PATH = /^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$/;
const OF_ONE = new Set(['equals', 'not_equals']);
const OF_SEVERAL = new Set(['in', 'not_in']);

interface Enumerated extends JsonSchema {
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
}

/** Conditions that compare a field with a value that it never has: `data.pullRequest.state equals "opened"`. */
export function impossibleValues(conditions: unknown, schema: JsonSchema): readonly RuleWarning[] {
  const warnings: RuleWarning[] = [];
  const visit = (condition: unknown, pointer: string): void => {
    if (!isObject(condition)) return;
    for (const key of ['all', 'any'])
      if (Array.isArray(condition[key]))
        condition[key].forEach((member, index) => visit(member, `${pointer}/${key}/${index}`));
    visit(condition['not'], `${pointer}/not`);
    const { field, operator, value } = condition;
    if (typeof field !== 'string' || typeof operator !== 'string' || !PATH.test(field)) return;
    const several = OF_SEVERAL.has(operator) && Array.isArray(value);
    if (!several && !OF_ONE.has(operator)) return;
    const allowed = valuesAt(field, schema);
    if (!allowed) return;
    const given: readonly unknown[] = several ? (value as unknown[]) : [value];
    given.forEach((one, index) => {
      if (one === null || allowed.includes(one)) return;
      warnings.push({
        pointer: `${pointer}/value${several ? `/${pointerToken(index)}` : ''}`,
        code: 'rule.impossible_value',
        message: `${field} is never ${JSON.stringify(one)}. ${typeof one === 'string' ? suggestion(one, allowed.map(String)) : ''}It is one of ${allowed.map((each) => JSON.stringify(each)).join(', ')}.`,
      });
    });
  };
  visit(conditions, '/conditions');
  return warnings;
}

/** Every value that a field can have, where the schema lists them. */
function valuesAt(path: string, schema: JsonSchema): readonly unknown[] | undefined {
  let at: JsonSchema | undefined = schema;
  for (const name of path.split('.')) {
    const next: JsonSchema | undefined | 'unknown' = fieldOf(at, name);
    if (next === undefined || next === 'unknown') return undefined;
    at = next;
  }
  return valuesOf(at);
}

function valuesOf(schema: Enumerated): readonly unknown[] | undefined {
  if (schema.const !== undefined) return [schema.const];
  if (schema.enum) return schema.enum;
  if (schema.type === 'boolean') return [true, false];
  if (!schema.anyOf || schema.anyOf.length === 0) return undefined;
  const each = schema.anyOf.map(valuesOf);
  return each.every((values) => values !== undefined) ? [...new Set(each.flat())] : undefined;
}
