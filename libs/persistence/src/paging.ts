import type { ObjectLiteral, SelectQueryBuilder } from 'typeorm';

import { type AskedPage, type KeyKind, KINDS, pageOf, pagingOf } from '#libs/kernel/src/paging.js';

/** Columns by which a list is sorted and that together tell its rows apart, the first one first. */
export type SortKey<Row> = { readonly [K in keyof Row]?: KeyKind };
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
