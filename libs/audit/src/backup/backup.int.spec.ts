import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import type { DataSource } from 'typeorm';

import { openKeyring } from '#libs/access/src/secrets/key-in-force.adapter.js';
import { PostgresEventStore } from '#libs/event-store/src/adapters/postgres/postgres-event-store.adapter.js';
import { migrateViews, openDataSource } from '#libs/persistence/src/data-source.adapter.js';
import { migrations } from '#libs/persistence/src/migrations/list.js';

import { createTestDatabase, type TestDatabase } from '../../../../test/support/database.js';
import { SealedLog } from '../../testing/sealed-log.js';
import { checkBackup, createBackup, restoreBackup } from './backup.adapter.js';
import { fileOf, type Manifest, readManifest } from './backup-folder.js';
import type { DataPlace } from './data-place.js';

const KEY = Buffer.alloc(32, 1);
const quiet = () => ({ signal: new AbortController().signal, onProgress: () => undefined });
const told = () => ({
  signal: new AbortController().signal,
  onFile: () => undefined,
  onLoad: () => undefined,
  onEvents: () => undefined,
});

let source: TestDatabase;
let dataSource: DataSource;
let store: PostgresEventStore;
let log: SealedLog;
let place: DataPlace;
let folder: string;
let targets: TestDatabase[];
beforeAll(async () => {
  source = await createTestDatabase();
  dataSource = await openDataSource({ url: source.url });
  store = await PostgresEventStore.open({ connectionString: source.url });
  await openKeyring(dataSource, { secretKeys: [KEY], dataDir: '/nowhere' });
  place = { dataDir: '/nowhere', databaseUrl: source.url, secretKeys: [KEY] };
  log = new SealedLog(store, dataSource);
  await log.append(40, 'org_1');
  await log.seal();
  await log.append(3, 'org_2');
  await log.keep();
});
afterAll(async () => {
  await store.close();
  await dataSource.destroy();
  await source.drop();
});
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-backup-spec-'));
  targets = [];
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
  for (const target of targets) await target.drop();
});

async function target(): Promise<DataPlace> {
  const database = await createTestDatabase({ empty: true });
  targets.push(database);
  return { dataDir: join(folder, 'data'), databaseUrl: database.url, secretKeys: [KEY] };
}
async function backup(): Promise<{ readonly path: string; readonly manifest: Manifest }> {
  const path = join(folder, 'backup');
  return { path, manifest: await createBackup(place, path, { ...quiet(), withKey: false }) };
}
/** Every row of every table, as text. */
async function contents(url: string, manifest: Manifest): Promise<Record<string, unknown>> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const all: Record<string, unknown> = {};
  for (const { name } of manifest.tables) {
    const { rows } = await client.query<{ row: string }>(`select t::text as row from ${name} t order by 1`);
    all[name] = rows.map(({ row }) => row);
  }
  for (const name of Object.keys(manifest.sequences))
    all[name] = (await client.query(`select last_value from ${name}`)).rows[0];
  await client.end();
  return all;
}

describe('a backup', () => {
  it('brings every row of every table back', async () => {
    const { path, manifest } = await backup();
    expect(manifest.log).toMatchObject({ prefix: 'millrace.' });
    expect(manifest.keyId).toMatch(/^[0-9a-f]{12}$/);
    const place = await target();
    expect(await restoreBackup(place, path, quiet())).toEqual({ manifest });
    const [before, after] = [await contents(source.url, manifest), await contents(place.databaseUrl!, manifest)];
    expect(after).toEqual(before);
    expect((after['log.events'] as unknown[]).length).toBeGreaterThan(43);
  });

  it('is that of one moment, whatever is written meanwhile', async () => {
    const path = join(folder, 'backup');
    const before = await contents(source.url, (await backup()).manifest);
    await rm(path, { recursive: true });
    let isWritten = false;
    const onProgress = (): void => {
      if (isWritten) return;
      isWritten = true;
      writing = log.append(5, 'org_1');
    };
    let writing: Promise<void> | undefined;
    const manifest = await createBackup(place, path, { ...quiet(), onProgress, withKey: false });
    await writing;
    const place2 = await target();
    await restoreBackup(place2, path, quiet());
    expect(await contents(place2.databaseUrl!, manifest)).toEqual(before);
    await log.keep();
  });

  it('is verified with the signatures of its log', async () => {
    const { path } = await backup();
    const check = await checkBackup(path, place, told());
    expect(check).toMatchObject({ ok: true, files: [], log: { ok: true, findings: [], checkpoints: 1 } });
    expect(await checkBackup(path, undefined, told())).not.toHaveProperty('log');
    const other = { ...place, secretKeys: [Buffer.alloc(32, 2)] };
    await expect(checkBackup(path, other, told())).rejects.toMatchObject({ code: 'backup.key_missing' });
  });

  it('names every file that is not as it was written, and restores none of them', async () => {
    const { path } = await backup();
    const bytes = await readFile(fileOf(path, 'log.events'));
    bytes[bytes.length >> 1]! ^= 1;
    await writeFile(fileOf(path, 'log.events'), bytes);
    await truncate(fileOf(path, 'views.events'), 10);
    await rm(fileOf(path, 'views.secrets'));
    const { ok, files } = await checkBackup(path, place, told());
    expect({ ok, tables: files.map(({ table }) => table) }).toEqual({
      ok: false,
      tables: ['log.events', 'views.events', 'views.secrets'],
    });
    await expect(restoreBackup(await target(), path, quiet())).rejects.toMatchObject({ code: 'backup.changed' });
  });

  it('finds what was changed in the log before the backup was made', async () => {
    const [event] = await log.events();
    const change = (from: string, to: string) =>
      dataSource.query(
        `update log.events set data = convert_to(replace(convert_from(data, 'UTF8'), $2, $3), 'UTF8') where position = $1`,
        [String(event!.position), from, to],
      );
    await change('é', 'e');
    const { path } = await backup();
    await change('"e"', '"é"');
    const { ok, log: found } = await checkBackup(path, place, told());
    expect({ ok, findings: found!.findings }).toMatchObject({ ok: false, findings: [{ kind: 'changed', index: 0 }] });
  });

  it('is not restored over anything that is in use', async () => {
    const { path } = await backup();
    await expect(restoreBackup(place, path, quiet())).rejects.toMatchObject({ code: 'backup.database_in_use' });
    const embedded = { dataDir: join(folder, 'data'), secretKeys: [] };
    await mkdir(join(embedded.dataDir, 'postgres'), { recursive: true });
    await expect(restoreBackup(embedded, path, quiet())).rejects.toMatchObject({ code: 'backup.database_in_use' });
  });

  it('is made under its name only when it is whole', async () => {
    const { path } = await backup();
    await expect(backup()).rejects.toMatchObject({ code: 'backup.folder_exists' });
    await rename(path, join(folder, 'first'));
    const stop = new AbortController();
    const onProgress = (): void => stop.abort();
    await expect(createBackup(place, path, { signal: stop.signal, onProgress, withKey: false })).rejects.toThrow();
    expect(await readdir(folder)).toEqual(['first']);
    await rm(join(folder, 'first', 'manifest.json'));
    await expect(readManifest(join(folder, 'first'))).rejects.toMatchObject({ code: 'backup.not_whole' });
    await expect(readManifest(path)).rejects.toMatchObject({ code: 'backup.not_found' });
  });

  it('leaves an empty database where a restore is ended half way, and the next one fills it', async () => {
    const { path } = await backup();
    const place = await target();
    const stop = new AbortController();
    const onProgress = ({ done }: { done: number }): void => {
      if (done === 3) stop.abort();
    };
    await expect(restoreBackup(place, path, { signal: stop.signal, onProgress })).rejects.toThrow();
    await restoreBackup(place, path, quiet());
    expect((await checkBackup(path, place, told())).ok).toBe(true);
  });

  it('of a newer version is refused', async () => {
    const { path, manifest } = await backup();
    const views = [...manifest.views, 'Tomorrow9999999999999'];
    await writeFile(join(path, 'manifest.json'), JSON.stringify({ ...manifest, views }));
    await expect(restoreBackup(await target(), path, quiet())).rejects.toMatchObject({ code: 'backup.newer_version' });
  });

  it('of an older version is brought to the newest form', async () => {
    const names = migrations.map((Migration) => new Migration().name);
    const older = names.slice(0, -8);
    const old = await target();
    await migrateViews(old.databaseUrl!, new Set(older));
    const path = join(folder, 'backup');
    const manifest = await createBackup(old, path, { ...quiet(), withKey: false });
    expect(manifest.views.toSorted()).toEqual(older.toSorted());
    const restored = await target();
    await restoreBackup(restored, path, quiet());
    const database = await openDataSource({ url: restored.databaseUrl! });
    const applied = await database.query<{ name: string }[]>('select name from views.migrations order by id');
    await database.destroy();
    expect(applied.map(({ name }) => name).toSorted()).toEqual(names.toSorted());
  });

  it('holds the key only where that is asked for', async () => {
    const dataDir = join(folder, 'data');
    await mkdir(dataDir, { recursive: true });
    const path = join(folder, 'backup');
    const own = { ...place, dataDir, secretKeys: [] };
    await expect(createBackup(own, path, { ...quiet(), withKey: true })).rejects.toMatchObject({
      code: 'backup.no_key_file',
    });
    await writeFile(join(dataDir, 'secret.key'), KEY.toString('base64'));
    await createBackup(own, path, { ...quiet(), withKey: true });
    const restored = { ...(await target()), dataDir: join(folder, 'restored'), secretKeys: [] };
    expect(await restoreBackup(restored, path, quiet())).not.toHaveProperty('missingKey');
    expect((await stat(join(folder, 'restored', 'secret.key'))).mode & 0o777).toBe(0o600);
    await rm(join(path, 'secret.key'));
    const without = { ...(await target()), dataDir: join(folder, 'other'), secretKeys: [] };
    expect(await restoreBackup(without, path, quiet())).toHaveProperty('missingKey');
  });
});
