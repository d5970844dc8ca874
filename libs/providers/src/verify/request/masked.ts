import { pathOf } from '#libs/expressions/src/path.js';
import { type Json, listOf } from '#libs/plugin-sdk/src/fields.js';

import { look, textOfValue } from './views.js';

const MASK = '********';

/**
 * A copy in which what an expression gives is hidden. A plain path is hidden where it is; for anything else every value
 * that is the same as one that it gives, wherever it stands.
 */
export function masked(value: Json, expression: string): Json {
  const path = pathOf(expression);
  const copy = structuredCopy(value);
  if (path && setAt(copy, path)) return copy;
  const given = look(expression, value);
  const texts = new Set((Array.isArray(given) ? listOf(given) : [given]).map(textOfValue));
  return without(copy, texts);
}

function structuredCopy(value: Json): Json {
  if (Array.isArray(value)) return (value as readonly Json[]).map(structuredCopy);
  if (!isPlain(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, structuredCopy(one)]));
}

function setAt(value: Json, path: readonly (string | number)[]): boolean {
  let at: unknown = value;
  for (const key of path.slice(0, -1))
    at = isPlain(at) || Array.isArray(at) ? (at as Record<string, Json>)[key] : undefined;
  const last = path.at(-1)!;
  if (!(isPlain(at) || Array.isArray(at)) || !Object.hasOwn(at, last)) return false;
  (at as Record<string, Json>)[last] = MASK;
  return true;
}

function without(value: Json, texts: ReadonlySet<string | undefined>): Json {
  if (Array.isArray(value)) return (value as readonly Json[]).map((one) => without(one, texts));
  if (isPlain(value)) return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, without(one, texts)]));
  const text = textOfValue(value);
  return text !== undefined && texts.has(text) ? MASK : value;
}

const isPlain = (value: unknown): value is Record<string, Json> =>
  typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
