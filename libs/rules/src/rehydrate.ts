import type { Failure } from './condition.js';
import { ConditionCompiler } from './conditions.js';
import { Problems } from './problems.js';

/**
 * What a condition said and wanted, in words again: a record keeps its place in the rule and the value that it saw.
 * @param conditions of the version that was asked.
 */
export function failureOf(conditions: unknown, pointer: string, actual: unknown): Failure {
  // What was valid when it was saved is read, whatever would be refused today.
  const condition = new ConditionCompiler(new Problems()).compile(conditions, '/conditions').find(pointer);
  return condition?.failed(actual) ?? { pointer, condition: pointer, field: '', actual, expected: null };
}
