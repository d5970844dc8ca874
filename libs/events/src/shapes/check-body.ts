import type { Static, TSchema } from '@sinclair/typebox';

import { isObject } from '#libs/kernel/src/json.js';
import { Problems } from '#libs/kernel/src/problems.js';

import { shapeProblems } from './shape-check.js';

/** What is checked, and what there is to check beyond its shape. */
export interface BodyCheck<T> {
  /** How codes begin: `webhook`. */
  readonly prefix: string;
  /** Looks at those parts of the body whose shape is right: `problems.part(body, 'url')`. */
  readonly check?: (body: T, problems: Problems) => void;
}

/**
 * A body of the shape that it must have.
 * @throws Rejected with everything that is wrong with it: `request.invalid` if its shape is, else `<prefix>.invalid`.
 */
export function checkBody<S extends TSchema>(
  shape: S,
  body: unknown,
  { prefix, check }: BodyCheck<Static<S>>,
): Static<S> {
  const problems = new Problems(prefix);
  problems.addAll(shapeProblems(shape, body, { prefix }));
  const hasShape = problems.found.length === 0;
  if (isObject(body)) check?.(body, problems);
  problems.throwIfAny(hasShape ? `${prefix}.invalid` : 'request.invalid', 'The request is invalid');
  return body;
}
