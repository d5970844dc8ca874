import { isExactNumber, stringifyJson } from './exact-json.js';

/** What stands in the place of a secret in what is kept. */
export const MASK = '***';

/** A part that is shorter would be found where it is no part of the secret. */
const LEAST = 8;

export interface Masker {
  text(text: string): string;
  /** Masks strings, keys and numbers of a JSON value, however deep; what holds no secret is returned as it is. */
  value<T>(value: T): T;
}

/** Takes secrets out of what comes back from outside, also where it escapes or encodes them. */
export function masker(secrets: Iterable<string>): Masker {
  const found = [...new Set([...secrets].flatMap(spellings))].sort((a, b) => b.length - a.length);
  const text = (given: string): string => found.reduce((left, one) => left.replaceAll(one, MASK), given);
  const visit = (value: unknown): unknown => {
    if (typeof value === 'string') return text(value);
    if (typeof value === 'number' || isExactNumber(value)) return text(String(value)) === String(value) ? value : MASK;
    if (Array.isArray(value)) {
      const items = value.map(visit);
      return items.every((item, index) => item === value[index]) ? value : items;
    }
    if (typeof value !== 'object' || value === null) return value;
    const entries = Object.entries(value).map(([key, item]) => [key, text(key), item, visit(item)] as const);
    const isSame = entries.every(([key, newKey, item, newItem]) => key === newKey && item === newItem);
    return isSame ? value : Object.fromEntries(entries.map(([, key, , item]) => [key, item]));
  };
  return { text, value: <T>(value: T): T => (found.length === 0 ? value : (visit(value) as T)) };
}

/** The secret and each of its lines as JSON, URLs, forms, HTML, base64, hex and bytes spell them. */
function spellings(secret: string): readonly string[] {
  const lines = secret.split(/\r?\n/);
  return [secret, ...(lines.length > 1 ? lines : [])].flatMap((part) => {
    if (part.length < LEAST) return [];
    const json = escaped(part);
    // JSON in a text of JSON, as services that echo a request answer it.
    const nested = escaped(json);
    const form = new URLSearchParams([['', part]]).toString().slice(1);
    const bytes = Buffer.from(part, 'utf8');
    // Half a character cannot be encoded.
    const whole = bytes.toString('utf8');
    const hex = bytes.toString('hex');
    return [
      part,
      json,
      nested,
      escaped(nested),
      json.replaceAll('/', '\\/'),
      json.replaceAll(/[^ -~]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`),
      ...[encodeURIComponent(whole), form, encodeURI(whole)].flatMap((encoded) => [encoded, lowerCaseEscapes(encoded)]),
      part.replaceAll(/[&<>"']/g, (character) => HTML[character]!),
      ...base64(bytes),
      hex,
      hex.toUpperCase(),
      bytes.toString('latin1'),
    ];
  });
}

const escaped = (text: string): string => stringifyJson(text).slice(1, -1);
const lowerCaseEscapes = (text: string): string => text.replaceAll(/%[0-9A-F]{2}/g, (escape) => escape.toLowerCase());
const HTML: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** In base64 three bytes share four characters, so a text looks different at each of three places of a longer one. */
const base64 = (bytes: Buffer): readonly string[] =>
  [0, 1, 2].flatMap((before) => {
    const text = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64');
    const whole = text.slice(Math.ceil((before * 8) / 6), Math.floor(((before + bytes.length) * 8) / 6));
    return [whole, whole.replaceAll('+', '-').replaceAll('/', '_')];
  });
