import { Rejected } from './errors.js';
import { parseJson, stringifyJson } from './text/exact-json.js';
import { isStorable } from './text/text.js';
import { parseTime } from './time/times.js';

/** One page of a list, as every list of the API answers. */
export interface Page<T> {
  readonly data: readonly T[];
  /** Opaque; `null` at the end. */
  readonly nextCursor: string | null;
}

export interface Paging {
  readonly limit: number;
  /** Sort key of the last row of the page before; `undefined` for the first page. */
  readonly after: readonly string[] | undefined;
}

const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 200;

/**
 * What `?limit=` and `?cursor=` ask for.
 * @param kinds of the parts of the list's sort key.
 * @throws Rejected `list.bad_limit`, `list.bad_cursor`
 */
export function pagingOf(limit: string | undefined, cursor: string | undefined, kinds: readonly KeyKind[]): Paging {
  return { limit: limitOf(limit), after: cursor === undefined || cursor === '' ? undefined : keyOf(cursor, kinds) };
}

/** Cuts what was read with `limit + 1` into a page. */
export function pageOf<Row, T>(
  rows: readonly Row[],
  { limit }: Paging,
  key: (row: Row) => readonly string[],
  show: (row: Row) => T,
): Page<T> {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const more = rows.length > limit && last !== undefined;
  return { data: shown.map(show), nextCursor: more ? cursorOf(key(last)) : null };
}

/** What the query string of a list says. */
export interface AskedPage {
  readonly limit: string | undefined;
  readonly cursor: string | undefined;
}

/** What a part of a sort key is. */
export type KeyKind = keyof typeof KINDS;

/** By kind: the cast of its parameter in SQL, and whether a text is one. */
export const KINDS = {
  text: { cast: 'text', isRight: isStorable },
  time: { cast: 'timestamptz', isRight: (text: string) => parseTime(text) !== undefined },
  number: { cast: 'bigint', isRight: (text: string) => /^\d{1,19}$/.test(text) && BigInt(text) < 2n ** 63n },
} as const;

/** The cursor of a place that is not that of a row, where a page ends before its rows do. */
export const cursorOf = (key: readonly string[]): string => Buffer.from(stringifyJson(key)).toString('base64url');

function limitOf(text: string | undefined): number {
  if (text === undefined || text === '') return DEFAULT_LIMIT;
  const limit = Number(text);
  if (Number.isInteger(limit) && limit >= 1 && limit <= MAX_LIMIT) return limit;
  throw new Rejected('invalid', 'list.bad_limit', `"limit" must be a whole number from 1 to ${MAX_LIMIT}.`);
}

function keyOf(cursor: string, kinds: readonly KeyKind[]): readonly string[] {
  try {
    const key: unknown = parseJson(Buffer.from(cursor, 'base64url').toString('utf8'));
    if (Array.isArray(key) && key.length === kinds.length && key.every(isText))
      if (kinds.every((kind, index) => KINDS[kind].isRight((key as readonly string[])[index]!))) return key;
  } catch {
    // Not one of ours.
  }
  throw badCursor();
}

const badCursor = (): Rejected =>
  new Rejected('invalid', 'list.bad_cursor', '"cursor" must be the nextCursor of the previous page.');

const isText = (part: unknown): part is string => typeof part === 'string';
