import type { ValidationError } from 'class-validator';

import { type Problem, Rejected } from '#libs/kernel/src/errors.js';
import { pointerToken } from '#libs/kernel/src/json.js';

/** What class-validator found, as problems with JSON pointers into the body. */
export function invalidRequest(errors: readonly ValidationError[]): Rejected {
  const problems = errors.flatMap((error) => problemsOf(error, ''));
  const words = problems.map(({ pointer, detail }) => `${pointer || 'the body'} ${detail}`).join('; ');
  return new Rejected('invalid', 'request.invalid', `The request is not as it should be: ${words}.`, { problems });
}

function problemsOf(
  { property, value, constraints = {}, children = [] }: ValidationError,
  parent: string,
): readonly Problem[] {
  // Where the body itself is no object, class-validator names no property.
  const pointer = property === undefined || property === '' ? parent : `${parent}/${pointerToken(property)}`;
  // Every rule complains about a value that is not there: once is enough.
  if (
    value === undefined &&
    Object.keys(constraints).length > 0 &&
    !('unknownValue' in constraints) &&
    !('whitelistValidation' in constraints)
  )
    return [{ pointer, detail: 'is required' }];
  const own = Object.entries(constraints).map(([rule, message]) => ({
    pointer,
    detail: detailOf(rule, message, property),
  }));
  return [...own, ...children.flatMap((child) => problemsOf(child, pointer))];
}

/** The pointer says where: the words need not. */
function detailOf(rule: string, message: string, property: string | undefined): string {
  if (rule === 'whitelistValidation') return 'is not known here';
  if (rule === 'unknownValue') return 'must be a JSON object';
  return property !== undefined && message.startsWith(`${property} `) ? message.slice(property.length + 1) : message;
}
