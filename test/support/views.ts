import { afterAll, beforeAll, beforeEach } from '@jest/globals';
import type { DataSource } from 'typeorm';

import { type DataSourceSettings, openDataSource } from '#libs/persistence/src/data-source.adapter.js';

import { createTestDatabase, type TestDatabase } from './database.js';

export interface Views {
  readonly url: string;
  readonly dataSource: DataSource;
}

/**
 * One database for the tests of a spec: opened before the first, dropped after the last, its views emptied before each.
 * Comes before the spec's own hooks.
 */
export function useViews(settings: Omit<DataSourceSettings, 'url'> = {}): Views {
  let database: TestDatabase;
  let dataSource: DataSource;
  let emptyAll: string;
  beforeAll(async () => {
    database = await createTestDatabase();
    dataSource = await openDataSource({ ...settings, url: database.url });
    const tables = await dataSource.query<{ name: string }[]>(
      `select format('%I.%I', schemaname, tablename) as name from pg_tables
       where schemaname = 'views' and tablename <> 'migrations'`,
    );
    // To truncate a table makes a new file; most of these are empty.
    emptyAll = tables.map(({ name }) => `delete from ${name}`).join(';');
  });
  beforeEach(() => dataSource.query(emptyAll).then(() => undefined));
  afterAll(async () => {
    await dataSource.destroy();
    await database.drop();
  });
  return {
    get url() {
      return database.url;
    },
    get dataSource() {
      return dataSource;
    },
  };
}
