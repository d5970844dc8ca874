import { isExactNumber, stringifyJson } from './exact-json.js';
import { beginning } from './text.js';

/** Most characters of JSON that a decision keeps of a value. */
export const EXCERPT_LENGTH = 200;

/**
 * A value as a decision keeps it: whole if its JSON is short, else the beginning of its JSON as a string that ends
 * in `…`. Costs no more for a value of a megabyte than for a short one.
 */
export function excerpt(value: unknown): unknown {
  if (value === undefined) return null;
  if (typeof value === 'string') return value.length <= EXCERPT_LENGTH ? value : cut(value);
  if (typeof value !== 'object' || value === null) return value;
  const json = begin(value, EXCERPT_LENGTH + 1);
  return json.length <= EXCERPT_LENGTH ? value : cut(json);
}

/** The value as text, at most {@link EXCERPT_LENGTH} characters: for sentences. */
export function inWords(value: unknown): string {
  const json = begin(value ?? null, EXCERPT_LENGTH + 1);
  return json.length <= EXCERPT_LENGTH ? json : cut(json);
}

const cut = (text: string): string => `${beginning(text, EXCERPT_LENGTH - 1)}…`;

/** JSON of a value, ended soon after it is longer than `most`. What is left of `most` shrinks with every level. */
function begin(value: unknown, most: number): string {
  if (typeof value === 'string') return stringifyJson(value.slice(0, most));
  if (typeof value !== 'object' || value === null || isExactNumber(value))
    return (stringifyJson(value) ?? 'null').slice(0, most);
  if (most <= 0) return '';
  let json = '';
  if (Array.isArray(value)) {
    // By index: to enumerate the keys of a long array costs as much as the array is long.
    for (let i = 0; i < value.length && json.length < most; i++)
      json += `${i === 0 ? '' : ','}${begin(value[i], most - json.length - 1)}`;
    return `[${json}]`;
  }
  for (const key in value) {
    if (json.length >= most) break;
    if (Object.hasOwn(value, key))
      json += `${json === '' ? '' : ','}${stringifyJson(key.slice(0, most))}:${begin((value as Record<string, unknown>)[key], most - json.length - 1)}`;
  }
  return `{${json}}`;
}
