import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type DataSource, getMetadataArgsStorage } from 'typeorm';

import { openDataSource } from '#libs/persistence/src/data-source.adapter.js';

import { createTestDatabase, type TestDatabase } from '../../../test/support/database.js';
import './app.module.js';

interface ColumnRow {
  readonly name: string;
  readonly type: string;
  readonly nullable: boolean;
  readonly key: boolean;
}

/** Every entity that the server loads: rows are written by what these say. */
const storage = getMetadataArgsStorage();
const entities = storage.tables.filter(({ schema }) => schema === 'views');

describe('entities', () => {
  let testDatabase: TestDatabase;
  let database: DataSource;
  beforeAll(async () => {
    testDatabase = await createTestDatabase();
    database = await openDataSource({ url: testDatabase.url, poolSize: 1 });
  });
  afterAll(async () => {
    await database.destroy();
    await testDatabase.drop();
  });

  it('there are some', () => expect(entities.length).toBeGreaterThan(15));

  it.each(entities.map(({ name, target }) => [name!, target] as const))(
    'of views.%s say what the table is',
    async (name, target) => {
      const rows = await database.query<ColumnRow[]>(
        `select a.attname as name, a.atttypid::regtype::text as type, not a.attnotnull as nullable,
                coalesce(a.attnum = any(i.indkey), false) as key
           from pg_attribute a left join pg_index i on i.indrelid = a.attrelid and i.indisprimary
          where a.attrelid = ('views.' || $1)::regclass and a.attnum > 0 and not a.attisdropped`,
        [name],
      );
      const said = storage
        .filterColumns(target)
        .map(({ propertyName, options: { name: column = propertyName, type, nullable = false, primary = false } }) => ({
          name: column,
          type: type === 'timestamptz' ? 'timestamp with time zone' : String(type),
          nullable,
          key: primary,
        }));
      const known = new Map(rows.map((row) => [row.name, row]));
      expect(said).toEqual(said.map((column) => known.get(column.name)));
    },
  );
});
