import { getMetadataStorage, type ValidationError } from 'class-validator';

import { Rejected } from '#libs/kernel/src/errors.js';
import { pointerToken } from '#libs/kernel/src/json.js';
import { Problems } from '#libs/kernel/src/problems.js';
import { suggestion } from '#libs/kernel/src/text/nearest.js';

/** What class-validator found, as problems with JSON pointers into the body. */
export function invalidRequest(errors: readonly ValidationError[]): Rejected {
  const problems = new Problems('request');
  for (const error of errors) note(error, '', problems);
  const words = problems.found
    .map(({ pointer, detail }) => (pointer === '' ? detail : `${pointer}: ${detail}`))
    .join(' ');
  return new Rejected('invalid', 'request.invalid', `The request is invalid: ${words}`, { problems: problems.found });
}

function note(
  { property, value, target, constraints = {}, children = [] }: ValidationError,
  parent: string,
  problems: Problems,
): void {
  // Where the body itself is not an object, class-validator names no property.
  const isBody = property === undefined || property === '';
  const pointer = isBody ? parent : `${parent}/${pointerToken(property)}`;
  if (isBody && Object.keys(constraints).length > 0) problems.add(pointer, 'Must be a JSON object.');
  else if ('whitelistValidation' in constraints) {
    const allowed = keysOf(target);
    const list = allowed.length > 0 ? `Allowed: ${allowed.join(', ')}.` : '';
    problems.add(
      pointer,
      `Unknown key "${property}". ${suggestion(property, allowed)}${list}`.trim(),
      'request.unknown_key',
    );
  }
  // Every rule complains about a value that is not there: once is enough.
  else if (value === undefined && Object.keys(constraints).length > 0) problems.required(pointer);
  else for (const message of Object.values(constraints)) problems.add(pointer, sentence(message, property));
  for (const child of children) note(child, pointer, problems);
}

/** The keys that a body may have: those that its class checks. */
function keysOf(target: object | undefined): readonly string[] {
  if (!target) return [];
  const all = getMetadataStorage().getTargetValidationMetadatas(target.constructor, '', false, false);
  return [...new Set(all.map(({ propertyName }) => propertyName))];
}

/** "name should not be empty" as what must be there. The pointer says where: the sentence need not. */
function sentence(message: string, property: string): string {
  const words = message
    .replace(new RegExp(`^${property.replaceAll(/[^\w]/g, '.')} `), '')
    .replace(/^each value in \S+ /, 'each entry ')
    .replace(/^((?:each entry )?)should /, '$1must ');
  return `${words.charAt(0).toUpperCase()}${words.slice(1).replace(/\.$/, '')}.`;
}
