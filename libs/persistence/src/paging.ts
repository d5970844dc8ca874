import type { ObjectLiteral, SelectQueryBuilder } from 'typeorm';

import { Rejected } from '#libs/kernel/src/errors.js';
import { parseJson, stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { isStorable } from '#libs/kernel/src/text/text.js';
import { parseTime } from '#libs/kernel/src/time/times.js';

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

/** Columns by which a list is sorted and that together tell its rows apart, the first one first. */
export type SortKey<Row> = { readonly [K in keyof Row]?: KeyKind };
/** What a part of a sort key is. */
export type KeyKind = keyof typeof KINDS;

const KINDS = {
  text: { cast: 'text', isRight: isStorable },
  time: { cast: 'timestamptz', isRight: (text: string) => parseTime(text) !== undefined },
  number: { cast: 'bigint', isRight: (text: string) => /^\d{1,19}$/.test(text) && BigInt(text) < 2n ** 63n },
} as const;

/**
 * One page of a query's rows.
 * @throws Rejected `list.bad_limit`, `list.bad_cursor`
 */
export async function readPage<Row extends ObjectLiteral>(
  query: SelectQueryBuilder<Row>,
  { limit, cursor }: AskedPage,
  sort: SortKey<Row>,
  direction: 'ASC' | 'DESC' = 'ASC',
): Promise<{ readonly rows: readonly Row[]; readonly nextCursor: string | null }> {
  const columns = Object.entries(sort as Record<string, KeyKind>);
  const paging = pagingOf(
    limit,
    cursor,
    columns.map(([, kind]) => kind),
  );
  for (const [name] of columns) query.addOrderBy(`${query.alias}.${name}`, direction);
  if (paging.after) {
    const left = columns.map(([name]) => `${query.alias}.${name}`);
    const right = columns.map(([, kind], index) => `:after${index}::${KINDS[kind].cast}`);
    query.andWhere(`(${left.join(', ')}) ${direction === 'ASC' ? '>' : '<'} (${right.join(', ')})`);
    query.setParameters(Object.fromEntries(paging.after.map((text, index) => [`after${index}`, text])));
  }
  const rows = await query.limit(paging.limit + 1).getMany();
  const textOf = (value: unknown): string => (value instanceof Date ? value.toISOString() : String(value));
  const keyOf = (row: Row): string[] => columns.map(([name]) => textOf(row[name]));
  const { data, nextCursor } = pageOf(rows, paging, keyOf, (row) => row);
  return { rows: data, nextCursor };
}

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
