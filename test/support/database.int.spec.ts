import { expect, test } from '@jest/globals';
import pg from 'pg';

import { createTestDatabase } from './database.js';

test('two tests have two databases, migrated or empty, which are gone when dropped', async () => {
  const one = await createTestDatabase({ empty: true });
  const other = await createTestDatabase();
  const client = new pg.Client({ connectionString: one.url });
  client.on('error', () => undefined);
  await client.connect();
  await client.query('create table only_here ()');
  const elsewhere = new pg.Client({ connectionString: other.url });
  await elsewhere.connect();
  const found = "select to_regclass('only_here') as own, to_regclass('views.work') as migrated";
  expect((await client.query(found)).rows).toEqual([{ own: 'only_here', migrated: null }]);
  expect((await elsewhere.query(found)).rows).toEqual([{ own: null, migrated: 'views.work' }]);

  await one.drop();

  const left = await elsewhere.query('select from pg_database where datname = $1', [
    new URL(one.url).pathname.slice(1),
  ]);
  expect(left.rowCount).toBe(0);
  await elsewhere.end();
  await other.drop();
});
