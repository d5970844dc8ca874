import { stringifyJson } from './exact-json.js';
import { uuid5 } from '../ids.js';

/** Not in the type of a string before ES2024. */
type Checked = string & { isWellFormed(): boolean; toWellFormed(): string };

const REPLACEMENT = '\ufffd';

/** Whether every half of a surrogate pair has its other half: what UTF-8 can write. */
export const isWellFormed = (text: string): boolean => (text as Checked).isWellFormed();

/** Whether PostgreSQL stores a text as it is: it holds no NUL and no half of a surrogate pair, both of which JSON can hold. */
export const isStorable = (text: string): boolean => !text.includes('\0') && isWellFormed(text);

/** The text as it is stored: what cannot be is replaced by U+FFFD. */
export const storable = (text: string): string =>
  isStorable(text) ? text : (text as Checked).toWellFormed().replaceAll('\0', REPLACEMENT);

/**
 * JSON as `jsonb` stores it, from JSON as `JSON.stringify` writes it: there, what cannot be stored is `\u0000` or the escape
 * of half a surrogate pair, for pairs are written as they are.
 */
export const storableJson = (json: string): string =>
  json.includes('\\u')
    ? json.replace(/(\\\\)|\\u(?:0000|d[89a-f][\da-f]{2})/g, (_, backslash?: string) => backslash ?? REPLACEMENT)
    : json;

/** At most `most` characters of the beginning, without half of a surrogate pair at the end. */
export function beginning(text: string, most: number): string {
  if (text.length <= most) return text;
  const last = text.charCodeAt(most - 1);
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? most - 1 : most);
}

const MAX_KEY = 200;

/**
 * A key that somebody outside has chosen, as an index keeps it: itself, or a hash where it is long or cannot be stored as it
 * is. Two different keys stay different. What was hashed before stays found: `purpose` never changes.
 */
export const indexKey = (purpose: string, key: string): string =>
  key.length <= MAX_KEY && isStorable(key) ? key : uuid5(purpose, isWellFormed(key) ? key : stringifyJson(key));
