import { createHash } from 'node:crypto';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { DataSource } from 'typeorm';

import { openDataSource } from '#libs/persistence/src/data-source.adapter.js';

import { createTestDatabase, type TestDatabase } from '../../../../test/support/database.js';
import { Keyring } from './keyring.js';
import { PostgresSecrets } from './secrets.adapter.js';

const key = (name: string): Buffer => createHash('sha256').update(name).digest();

describe('secrets in PostgreSQL', () => {
  let testDatabase: TestDatabase;
  let database: DataSource;
  beforeEach(async () => {
    testDatabase = await createTestDatabase();
    database = await openDataSource({ url: testDatabase.url, poolSize: 4 });
  });
  afterEach(async () => {
    await database.destroy();
    await testDatabase.drop();
  });
  const secrets = (...names: readonly [string, ...string[]]) =>
    new PostgresSecrets(database, new Keyring(names.map(key) as [Buffer, ...Buffer[]]));
  const rows = () =>
    database.query<{ reference: string; key_id: string; sealed: Buffer }[]>(
      'select * from views.secrets order by reference',
    );

  it('come back as they were stored, and what does not exist is left out', async () => {
    const store = secrets('a');
    await store.put('org_a', 'sec_1', 'one');
    await store.put('org_a', 'sec_2', 'zwei ✓');
    expect(await store.get(['sec_2', 'sec_3', 'sec_1'])).toEqual(
      new Map([
        ['sec_1', 'one'],
        ['sec_2', 'zwei ✓'],
      ]),
    );
    expect(await store.get([])).toEqual(new Map());
  });

  it('do not stand in the table in any readable form', async () => {
    await secrets('a').put('org_a', 'sec_1', 'hunter2hunter2');
    const [row] = await rows();
    expect(row!.sealed.toString('latin1')).not.toContain('hunter2');
  });

  it('keep the text of the first try when a command is tried again', async () => {
    const store = secrets('a');
    expect(await store.put('org_a', 'sec_1', 'first')).toBe('first');
    expect(await store.put('org_a', 'sec_1', 'second')).toBe('first');
    expect(await store.get(['sec_1'])).toEqual(new Map([['sec_1', 'first']]));
  });

  it('keep one text when two processes store at once, and both are told it', async () => {
    const [one, two] = await Promise.all([
      secrets('a').put('org_a', 'sec_1', 'left'),
      secrets('a').put('org_a', 'sec_1', 'right'),
    ]);
    expect(one).toBe(two);
  });

  it('are gone when removed', async () => {
    const store = secrets('a');
    await store.put('org_a', 'sec_1', 'one');
    await store.remove(['sec_1', 'sec_none']);
    expect(await store.get(['sec_1'])).toEqual(new Map());
  });

  it('do not open in a row that was copied to another reference or organisation', async () => {
    const store = secrets('a');
    await store.put('org_a', 'sec_1', 'one');
    await database.query(
      `insert into views.secrets (reference, org_id, key_id, sealed) select 'sec_2', org_id, key_id, sealed from views.secrets`,
    );
    await expect(store.get(['sec_2'])).rejects.toThrow(/sec_2/);
    await database.query(`update views.secrets set org_id = 'org_b' where reference = 'sec_1'`);
    await expect(store.get(['sec_1'])).rejects.toThrow(/sec_1/);
  });

  describe('when the key is changed', () => {
    it('are all brought under the first key at start, after which the old one is not needed', async () => {
      const store = secrets('a');
      await Promise.all(Array.from({ length: 1_200 }, (_, n) => store.put('org_a', `sec_${n}`, `text ${n}`)));
      expect(await secrets('b', 'a').rotate()).toBe(1_200);
      const only = secrets('b');
      expect(await only.rotate()).toBe(0);
      expect((await only.get(['sec_1199'])).get('sec_1199')).toBe('text 1199');
      expect(new Set((await rows()).map((row) => row.key_id)).size).toBe(1);
    });

    it('survive two processes that do it at once', async () => {
      for (let n = 0; n < 50; n++) await secrets('a').put('org_a', `sec_${n}`, `text ${n}`);
      await Promise.all([secrets('b', 'a').rotate(), secrets('b', 'a').rotate()]);
      expect((await secrets('b').get(['sec_7'])).get('sec_7')).toBe('text 7');
    });

    it('whose key is no longer configured stop the start, named with what to do', async () => {
      await secrets('a').put('org_a', 'sec_1', 'one');
      const missing = new Keyring([key('a')]).currentId;
      const failure = secrets('b').rotate();
      await expect(failure).rejects.toThrow(missing);
      await expect(failure).rejects.toThrow('sec_1');
      await expect(failure).rejects.toThrow('MILLRACE_SECRET_KEY=<new key>,<old key>');
      expect(await rows()).toHaveLength(1);
    });
  });
});
