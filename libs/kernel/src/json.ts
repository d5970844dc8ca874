import { canonicalNumber, ExactNumber, parseJson } from './text/exact-json.js';

/** JSON as a type and the few things the standard library leaves out. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
export type JsonObject = { readonly [key: string]: Json };

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof ExactNumber);

/** One RFC 6901 reference token. */
export const pointerToken = (key: string | number): string => String(key).replaceAll('~', '~0').replaceAll('/', '~1');

/** JSON with sorted keys: equal values give equal texts. For hashes and comparisons, not for storage. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (isObject(value))
    return `{${Object.keys(value)
      .filter((key) => value[key] !== undefined)
      .sort()
      .map((key) => `${JSON.stringify(key)}:${canonicalJson(value[key])}`)
      .join(',')}}`;
  if (value instanceof ExactNumber) return canonicalNumber(value);
  return JSON.stringify(value) ?? 'null';
}

/**
 * A value as a key; different values have different keys. A string is its own key, unless it is JSON by itself: then it is
 * quoted, so that `1` and `"1"` differ.
 */
export const keyText = (value: unknown): string =>
  typeof value === 'string' && !isJson(value) ? value : canonicalJson(value);

function isJson(text: string): boolean {
  // How a text begins is enough for most.
  if (!/^[\s[{"\d\-tfn]/.test(text)) return false;
  try {
    parseJson(text);
    return true;
  } catch {
    return false;
  }
}
