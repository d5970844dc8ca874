import { createHash } from 'node:crypto';
import { existsSync, rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { DataSource } from 'typeorm';

import { Rejected } from '#libs/kernel/src/errors.js';
import { openDataSource } from '#libs/persistence/src/data-source.adapter.js';

import { createTestDatabase, type TestDatabase } from '../../../../test/support/database.js';
import { openKeyring } from './key-in-force.adapter.js';
import { Keyring } from './keyring.js';
import { PostgresSecrets } from './secrets.adapter.js';

const key = (name: string): Buffer => createHash('sha256').update(name).digest();

describe('the key in force', () => {
  let testDatabase: TestDatabase;
  let database: DataSource;
  const folders: string[] = [];
  beforeEach(async () => {
    testDatabase = await createTestDatabase();
    database = await openDataSource({ url: testDatabase.url, poolSize: 4 });
  });
  afterEach(async () => {
    await database.destroy();
    await testDatabase.drop();
    for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
  });
  const folder = async () => {
    folders.push(await mkdtemp(join(tmpdir(), 'millrace-key-')));
    return folders.at(-1)!;
  };
  const open = async (...names: string[]) =>
    openKeyring(database, { secretKeys: names.map(key), dataDir: await folder() });
  const refusal = (opening: Promise<unknown>) =>
    opening.then(
      () => undefined,
      (error: unknown) => error,
    );
  const put = async (name: string) =>
    new PostgresSecrets(database, (await open(name)).keyring).put('org_1', 'sec_1', 'one');
  const stored = () => database.query<object[]>('select * from views.secrets');

  it('is the first that was ever used: of two processes with generated keys, on an empty database, one is refused', async () => {
    const folders = [await folder(), await folder()];
    const opened = await Promise.allSettled(
      folders.map((dataDir) => openKeyring(database, { secretKeys: [], dataDir })),
    );
    expect(opened.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    const { reason } = opened.find((one) => one.status === 'rejected') as { reason: unknown };
    // Whichever of them looks before or after the other has said which key is in force.
    expect(reason).toMatchObject({ code: expect.stringMatching(/^secrets\.(other_key|key_lost)$/) });
    // And so it stays.
    const loser = folders[opened.findIndex(({ status }) => status === 'rejected')]!;
    expect(await refusal(openKeyring(database, { secretKeys: [], dataDir: loser }))).toBeInstanceOf(Rejected);
  });

  it('is not replaced by a start with another one, which rewrites nothing', async () => {
    await put('a');
    const before = await stored();
    expect(await refusal(open('b'))).toMatchObject({
      code: 'secrets.other_key',
      message: expect.stringContaining('MILLRACE_SECRET_KEY=<new key>,<old key>'),
    });
    expect(await stored()).toEqual(before);
    await open('a');
  });

  it('is not replaced by a key in the environment while the generated one is only in the data folder', async () => {
    const dataDir = await folder();
    const { keyring } = await openKeyring(database, { secretKeys: [], dataDir });
    await new PostgresSecrets(database, keyring).put('org_1', 'sec_1', 'one');
    const before = await stored();
    expect(await refusal(openKeyring(database, { secretKeys: [key('b')], dataDir }))).toMatchObject({
      code: 'secrets.other_key',
    });
    expect(await stored()).toEqual(before);
    await openKeyring(database, { secretKeys: [], dataDir });
  });

  it('is replaced where both are given, once and for all', async () => {
    await put('a');
    const { keyring, rotated } = await open('b', 'a');
    expect(rotated).toBe(1);
    expect((await new PostgresSecrets(database, keyring).get(['sec_1'])).get('sec_1')).toBe('one');
    expect(await refusal(open('a'))).toMatchObject({ code: 'secrets.other_key' });
    expect((await open('b')).rotated).toBe(0);
  });

  it('is put in force again by the next start where a rotation was interrupted', async () => {
    await put('a');
    // All secrets moved, and the process died before it said so.
    await new PostgresSecrets(database, new Keyring([key('b'), key('a')])).rotate();
    expect(await refusal(open('b'))).toMatchObject({ code: 'secrets.other_key' });
    await open('b', 'a');
    await open('b');
  });

  it('that is lost is not replaced by a generated one', async () => {
    const dataDir = await folder();
    await openKeyring(database, { secretKeys: [], dataDir });
    rmSync(join(dataDir, 'secret.key'));
    expect(await refusal(openKeyring(database, { secretKeys: [], dataDir }))).toMatchObject({
      code: 'secrets.key_lost',
      message: expect.stringContaining('Restore that file from a backup'),
    });
    expect(existsSync(join(dataDir, 'secret.key'))).toBe(false);
  });

  it('of a database from before fingerprints were stored is that of its secrets', async () => {
    await put('a');
    await database.query('update views.installation set key_id = null');
    expect(await refusal(open('b'))).toMatchObject({ code: 'secrets.other_key' });
    await open('a');
  });
});
