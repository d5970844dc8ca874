import { Rejected } from '#libs/kernel/src/errors.js';

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
 * What `?limit=` and `?cursor=` ask for. `parts` is how many texts the list's sort key has.
 * @throws Rejected `list.bad_limit`, `list.bad_cursor`
 */
export function pagingOf(limit: string | undefined, cursor: string | undefined, parts: number): Paging {
  return { limit: limitOf(limit), after: cursor === undefined || cursor === '' ? undefined : keyOf(cursor, parts) };
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

/** The cursor of a place that is not that of a row, where a page ends before its rows do. */
export const cursorOf = (key: readonly string[]): string => Buffer.from(JSON.stringify(key)).toString('base64url');

function limitOf(text: string | undefined): number {
  if (text === undefined || text === '') return DEFAULT_LIMIT;
  const limit = Number(text);
  if (Number.isInteger(limit) && limit >= 1 && limit <= MAX_LIMIT) return limit;
  throw new Rejected('invalid', 'list.bad_limit', `"limit" must be a whole number from 1 to ${MAX_LIMIT}.`);
}

function keyOf(cursor: string, parts: number): readonly string[] {
  try {
    const key: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
    if (Array.isArray(key) && key.length === parts && key.every((part) => typeof part === 'string')) return key;
  } catch {
    // Not one of ours.
  }
  throw new Rejected('invalid', 'list.bad_cursor', '"cursor" must be the nextCursor of the page before.');
}
