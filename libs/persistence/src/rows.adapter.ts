import { type EntityManager, getMetadataArgsStorage } from 'typeorm';

import type { ViewTransaction } from '#libs/event-store/src/subscriber.js';

import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { storableJson } from '#libs/kernel/src/text/text.js';

/**
 * Rows of views in sets: one statement for all of them, made from what their entity says about table, columns and key.
 * For a conflict that needs more than "the new one stands" or "the old one stands", write a statement by hand.
 */

type Class<Entity> = new () => Entity;
/** Of a batch of views, or any other. */
type Writing = ViewTransaction | Pick<EntityManager, 'query'>;
/** A value as it is written: a time as RFC 3339 too, a `bigint` column's as a number too. */
type Written<T> = T extends Date ? Date | string : T extends string ? (string extends T ? T | number | bigint : T) : T;
/** A row as it is written, with every column of its entity. */
export type RowOf<Entity> = { readonly [Column in keyof Entity]: Written<Entity[Column]> };
type Stored<T> = T extends Date ? string : T;
/** A row as it is read: times are RFC 3339 UTC, as everywhere in events. It can be written as it is. */
export type StoredRow<Entity> = { readonly [Column in keyof Entity]: Stored<Entity[Column]> };
/** The columns by which a row is found. */
type KeyOf<Entity, Key extends keyof Entity> = { readonly [Column in Key]: Written<Entity[Column]> };

interface Column {
  readonly property: string;
  readonly name: string;
  readonly type: string;
  readonly isKey: boolean;
  readonly write: (value: unknown) => unknown;
}

interface Table {
  readonly columns: readonly Column[];
  readonly update: string;
  readonly insertMissing: string;
  readonly load: string;
  readonly remove: string;
}

/**
 * Inserts rows. Where a row with the same key is there, the new one takes its place, or with `{ onConflict: 'nothing' }` the
 * old one stays. No two of the rows may have the same key, unless the old one stays.
 */
export async function upsertRows<Entity extends object>(
  tx: Writing,
  entity: Class<Entity>,
  rows: readonly RowOf<Entity>[],
  { onConflict = 'update' }: { readonly onConflict?: 'update' | 'nothing' } = {},
): Promise<void> {
  if (rows.length === 0) return;
  const { columns, update, insertMissing } = tableOf(entity);
  await write(tx, onConflict === 'update' ? update : insertMissing, valuesOf(columns, rows));
}

/** The rows with these keys; those that are not there are missing. */
export async function loadRows<Entity extends object, Key extends keyof Entity>(
  tx: Pick<ViewTransaction | EntityManager, 'query'>,
  entity: Class<Entity>,
  keys: readonly KeyOf<Entity, Key>[],
): Promise<readonly StoredRow<Entity>[]> {
  if (keys.length === 0) return [];
  const { columns, load } = tableOf(entity);
  const rows = await tx.query<Record<string, unknown>[]>(load, keyValues(columns, keys));
  const times = columns.filter(({ type }) => type === 'timestamptz');
  for (const row of rows)
    for (const { property } of times) if (row[property] instanceof Date) row[property] = row[property].toISOString();
  return rows as unknown as readonly StoredRow<Entity>[];
}

/** Removes the rows with these keys; those that are not there are passed over. */
export async function removeRows<Entity extends object, Key extends keyof Entity>(
  tx: Writing,
  entity: Class<Entity>,
  keys: readonly KeyOf<Entity, Key>[],
): Promise<void> {
  if (keys.length === 0) return;
  const { columns, remove } = tableOf(entity);
  await write(tx, remove, keyValues(columns, keys));
}

async function write(tx: Writing, sql: string, values: unknown[]): Promise<void> {
  if ('write' in tx) tx.write(sql, values);
  else await tx.query(sql, values);
}

/** One array for each column. */
const valuesOf = (columns: readonly Column[], rows: readonly object[]): unknown[] =>
  columns.map(({ property, write }) => rows.map((row) => write((row as Record<string, unknown>)[property])));

const keyValues = (columns: readonly Column[], keys: readonly object[]): unknown[] =>
  valuesOf(
    columns.filter(({ isKey }) => isKey),
    keys,
  );

const tables = new WeakMap<object, Table>();

function tableOf(entity: Class<object>): Table {
  let table = tables.get(entity);
  if (!table) tables.set(entity, (table = describe(entity)));
  return table;
}

function describe(entity: Class<object>): Table {
  const storage = getMetadataArgsStorage();
  const { schema, name } = storage.filterTables(entity)[0]!;
  const columns = storage.filterColumns(entity).map(({ propertyName, options }): Column => {
    const type = String(options.type);
    return {
      property: propertyName,
      name: options.name ?? propertyName,
      type,
      isKey: options.primary === true,
      write: WRITERS[type] ?? ((value) => value),
    };
  });
  const key = columns.filter(({ isKey }) => isKey);
  const names = (some: readonly Column[]): string => some.map((column) => column.name).join(', ');
  const given = (some: readonly Column[]): string =>
    `unnest(${some.map(({ type }, index) => `$${index + 1}::${type}[]`).join(', ')})`;
  const table = `${schema ?? 'public'}.${name}`;
  const isGiven =
    key.length === 1
      ? `${key[0]!.name} = any($1::${key[0]!.type}[])`
      : `(${names(key)}) in (select * from ${given(key)})`;
  const insert = `insert into ${table} (${names(columns)}) select * from ${given(columns)} on conflict (${names(key)}) do`;
  const changes = columns.filter(({ isKey }) => !isKey).map((column) => `${column.name} = excluded.${column.name}`);
  return {
    columns,
    update: `${insert} update set ${changes.join(', ')}`,
    insertMissing: `${insert} nothing`,
    load: `select ${columns.map((column) => `${column.name} as "${column.property}"`).join(', ')} from ${table}
            where ${isGiven}`,
    remove: `delete from ${table} where ${isGiven}`,
  };
}

const unlessNull =
  <T>(write: (value: T) => unknown) =>
  (value: unknown): unknown =>
    value === null || value === undefined ? null : write(value as T);

/**
 * A value for a column of type `json`. What PostgreSQL could not take out of it again (NUL, half of a surrogate pair) is
 * replaced: a view can hold what the log can.
 */
export function jsonColumn(value: unknown): string {
  return storableJson(stringifyJson(value));
}

/** What a value becomes in the array of its column; others are what they are. */
const WRITERS: Readonly<Record<string, (value: unknown) => unknown>> = {
  text: unlessNull((value: string | number | bigint) => String(value)),
  json: unlessNull(jsonColumn),
  jsonb: unlessNull(jsonColumn),
  timestamptz: unlessNull((value: Date | string) => (value instanceof Date ? value.toISOString() : value)),
};
