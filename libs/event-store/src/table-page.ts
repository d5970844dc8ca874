import { Transient } from '#libs/kernel/src/errors.js';
import { type AskedPage, type Page, pageOf, pagingOf } from '#libs/kernel/src/paging.js';

import type { Table } from './subscriber.js';

/** @throws Transient `table.incomplete`: a list that lacks what exists must not look whole. */
export function refuseIncomplete(table: Table): void {
  if (table.incomplete === true)
    throw new Transient('table.incomplete', `the table ${table.name} could not process an event`);
}

/**
 * One page of what a table holds.
 * @param rows sorted by `keyOf`.
 * @throws Rejected `list.bad_limit`, `list.bad_cursor`
 * @throws Transient `table.incomplete`
 */
export function pageOfTable<Row>(
  table: Table,
  rows: readonly Row[],
  { limit, cursor }: AskedPage,
  keyOf: (row: Row) => string,
): Page<Row> {
  refuseIncomplete(table);
  const paging = pagingOf(limit, cursor, ['text']);
  const after = paging.after?.[0];
  const rest = after === undefined ? rows : rows.filter((row) => keyOf(row) > after);
  return pageOf(
    rest,
    paging,
    (row) => [keyOf(row)],
    (row) => row,
  );
}
