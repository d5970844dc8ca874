import { type Problem, Rejected } from '#libs/kernel/src/errors.js';
import { isExactNumber, parseJson } from '#libs/kernel/src/text/exact-json.js';
import { pointerToken } from '#libs/kernel/src/json.js';
import { isStorable } from '#libs/kernel/src/text/text.js';

import { jsonFaultOf } from './json-fault.js';

/** Deepest nesting of arrays and objects in a body, as for what senders send. */
const MAX_DEPTH = 64;
const MAX_PROBLEMS = 20;

/** A request that no route looks at: answered with the status, in these words. */
export class MalformedRequest extends Error {
  readonly statusCode = 400;

  constructor(
    message: string,
    readonly problems: readonly Problem[] = [],
  ) {
    super(message);
  }
}

/**
 * The body of a request of the API. THE EDGE for texts: what no database column holds (NUL, half of a surrogate pair) comes
 * no further, so that everything behind here can be stored, listed and found.
 * @param parse how numbers are read: `parseAsWritten` where the body is passed on.
 * @throws MalformedRequest for what is not JSON, is nested too deep, or has a key that changes what an object is.
 * @throws Rejected `request.bad_text` with the place of each text that cannot be stored.
 */
export function readJsonBody(text: string, parse: (json: string) => unknown = parseJson): unknown {
  const value = parsed(text, parse);
  const problems: Problem[] = [];
  const open = [{ value, pointer: '', depth: 0 }];
  for (let next = open.pop(); next; next = open.pop()) {
    const { value: found, pointer, depth } = next;
    if (typeof found === 'string') {
      if (!isStorable(found)) problems.push(unstorable(pointer));
    } else if (typeof found === 'object' && found !== null && !isExactNumber(found)) {
      if (depth === MAX_DEPTH)
        throw new MalformedRequest(
          `The body must not be nested deeper than ${MAX_DEPTH} levels. Send a flatter structure.`,
        );
      for (const [key, child] of Object.entries(found)) {
        if (key === '__proto__') throw new MalformedRequest('The body must not have keys such as __proto__.');
        if (!isStorable(key)) problems.push(unstorable(pointer));
        open.push({ value: child, pointer: `${pointer}/${pointerToken(key)}`, depth: depth + 1 });
      }
    }
    if (problems.length >= MAX_PROBLEMS) break;
  }
  if (problems.length > 0)
    throw new Rejected(
      'invalid',
      'request.bad_text',
      'A string in the body contains characters that cannot be stored.',
      {
        problems,
      },
    );
  return value;
}

const unstorable = (pointer: string): Problem => ({
  pointer,
  detail: 'Must not contain the character NUL (U+0000) or half of a surrogate pair. Remove it.',
});

function parsed(text: string, parse: (json: string) => unknown): unknown {
  // A byte order mark is no part of the text.
  const json = text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
  try {
    return parse(json);
  } catch {
    const { line, column, detail } = jsonFaultOf(json);
    const message = `The body must be valid JSON. Line ${line}, column ${column}: ${detail}`;
    throw new MalformedRequest(message, [{ pointer: '', line, column, detail }]);
  }
}
