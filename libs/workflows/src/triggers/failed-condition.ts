import type { FailedCondition } from '#libs/events/src/shapes/rule-trial-shape.js';
import { compile, type CompiledExpression } from '#libs/expressions/src/compile.js';
import { conjunctsOf } from '#libs/expressions/src/conjuncts.js';
import { valueAt } from '#libs/expressions/src/path.js';
import { excerpt } from '#libs/kernel/src/text/excerpt.js';

import { references } from '../language/references.js';

const MAX_TEXT = 300;

/** The first part of a conjunction that was not true, and what the fields were that it names. */
export function failedPart({ source }: CompiledExpression, scope: object, pointer: string): FailedCondition {
  const part = conjunctsOf(source).find((one) => !compile(one).test(scope)) ?? source;
  const named = new Map(references(part).map((path) => [path.join('.'), path]));
  const values = [...named].map(([name, path]) => [name, excerpt(valueAt(path, scope))] as const);
  return {
    pointer,
    condition: part.length > MAX_TEXT ? `${part.slice(0, MAX_TEXT - 1)}…` : part,
    field: [...named.keys()].join(', '),
    actual: values.length === 1 ? values[0]![1] : excerpt(Object.fromEntries(values)),
    expected: true,
  };
}

/** A value that none of the globs fits. */
export const failedGlobs = (
  key: 'branches' | 'paths',
  field: string,
  actual: unknown,
  globs: readonly string[],
): FailedCondition => ({
  pointer: `/${key}`,
  condition: `${field} fits ${globs.join(', ')}`.slice(0, MAX_TEXT),
  field,
  actual: excerpt(actual),
  expected: excerpt(globs),
});
