import { copyFile, mkdir, mkdtemp, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';

import { readKeyFile } from '#libs/access/src/secrets/key-file.js';
import { Keyring } from '#libs/access/src/secrets/keyring.js';
import { PostgresSecrets } from '#libs/access/src/secrets/secrets.adapter.js';
import { EventReader } from '#libs/event-index/src/event-reader.adapter.js';
import { PostgresEventStore } from '#libs/event-store/src/adapters/postgres/postgres-event-store.adapter.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { randomText } from '#libs/kernel/src/ids.js';
import { openDataSource } from '#libs/persistence/src/data-source.adapter.js';
import { isAlive } from '#libs/persistence/src/embedded/postgres-process.adapter.js';
import { EmbeddedPostgres } from '#libs/persistence/src/embedded/embedded-postgres.adapter.js';

import { WHOLE_LOG } from '../proof/kept-tree.adapter.js';
import { SigningKeys } from '../proof/signing-keys.js';
import { type Verification, verifyLog, type VerifyProgress } from '../proof/verify-log.js';
import {
  checkFiles,
  type FileProblem,
  type Manifest,
  readManifest,
  syncFolder,
  TABLES,
  writeManifest,
} from './backup-folder.js';
import { dumpDatabase, type Moving } from './dump.adapter.js';
import type { DataPlace } from './data-place.js';
import { loadDatabase } from './load.adapter.js';

const POSTGRES = 'postgres';
const KEY = 'secret.key';

/**
 * Makes a backup, also while servers run: a snapshot of one moment. The folder has its name only when everything is on the
 * disk.
 * @param folder must not exist.
 * @throws Rejected `backup.folder_exists`, `backup.no_data`, `backup.no_key_file`
 */
export async function createBackup(
  place: DataPlace,
  folder: string,
  { withKey, ...moving }: Moving & { readonly withKey: boolean },
): Promise<Manifest> {
  if (await exists(folder))
    throw new Rejected('conflict', 'backup.folder_exists', `${folder} exists already. Give a folder that does not.`);
  const keyFile = join(place.dataDir, KEY);
  if (withKey && !(await exists(keyFile)))
    throw new Rejected(
      'not_found',
      'backup.no_key_file',
      `There is no ${keyFile}: the key is in MILLRACE_SECRET_KEY. Keep a copy of it yourself, and leave --with-key out.`,
    );
  await removeLeftovers(folder);
  const unfinished = `${folder}.tmp-${process.pid}-${randomText(6)}`;
  await mkdir(join(unfinished, TABLES), { recursive: true, mode: 0o700 });
  try {
    const manifest = await withDatabase(place, (url) => dumpDatabase(url, unfinished, moving));
    if (withKey) await copyWhole(keyFile, join(unfinished, KEY));
    await writeManifest(unfinished, manifest);
    crashPoint('backup.before-name');
    await rename(unfinished, folder);
    await syncFolder(dirname(resolve(folder)));
    return manifest;
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true });
    throw error;
  }
}

export interface Restored {
  readonly manifest: Manifest;
  /** The id of the key that has to be put in place before a server starts; absent where it is there. */
  readonly missingKey?: string;
}

/**
 * Fills an empty database, or the embedded one of a data folder that has none, from a backup.
 * @throws Rejected `backup.database_in_use`, `backup.not_whole`, `backup.changed`, `backup.newer_version` …
 */
export async function restoreBackup(place: DataPlace, folder: string, moving: Moving): Promise<Restored> {
  const manifest = await readManifest(folder);
  const { dataDir, databaseUrl, secretKeys } = place;
  if (databaseUrl !== undefined) await loadDatabase(databaseUrl, folder, manifest, moving);
  else await restoreEmbedded(dataDir, folder, manifest, moving);
  if ((await exists(join(folder, KEY))) && !(await exists(join(dataDir, KEY)))) {
    await mkdir(dataDir, { recursive: true });
    await copyWhole(join(folder, KEY), join(dataDir, KEY));
  }
  const { keyId } = manifest;
  const isThere = keyId === undefined || keyring(secretKeys, dataDir)?.ids.includes(keyId) === true;
  return { manifest, ...(!isThere && { missingKey: keyId }) };
}

async function restoreEmbedded(dataDir: string, folder: string, manifest: Manifest, moving: Moving): Promise<void> {
  const target = join(dataDir, POSTGRES);
  if (await exists(target))
    throw new Rejected(
      'conflict',
      'backup.database_in_use',
      `${target} exists already. Move it away, or give another data folder with --data-dir.`,
    );
  // The next owner of the data folder removes what a killed restore leaves: see the embedded PostgreSQL.
  const unfinished = `${target}.tmp-restore-${randomText(6)}`;
  try {
    await withEmbedded(unfinished, (url) => loadDatabase(url, folder, manifest, moving));
    crashPoint('backup.before-restored');
    await rename(unfinished, target);
    await syncFolder(dataDir);
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true });
    throw error;
  }
}

export interface BackupCheck {
  readonly ok: boolean;
  readonly createdAt: string;
  readonly tables: number;
  readonly rows: number;
  readonly files: readonly FileProblem[];
  /** Of the log in the restored copy; absent where it was not asked for, where files are bad, or where there is no log. */
  readonly log?: Verification;
}

export interface CheckTold {
  readonly signal: AbortSignal;
  readonly onFile: (table: string) => void;
  readonly onLoad: Moving['onProgress'];
  readonly onEvents: (progress: VerifyProgress) => void;
}

/**
 * Compares every file with its hash. Then restores the backup into a temporary database, and verifies the tree of its log
 * with all signed checkpoints.
 * @param keys where the key for the signatures is; `undefined` compares the files alone.
 */
export async function checkBackup(folder: string, keys: DataPlace | undefined, told: CheckTold): Promise<BackupCheck> {
  const manifest = await readManifest(folder);
  const { createdAt, tables } = manifest;
  const files = await checkFiles(folder, manifest, told.onFile);
  const counts = { createdAt, tables: tables.length, rows: tables.reduce((sum, { rows }) => sum + rows, 0), files };
  if (files.length > 0) return { ok: false, ...counts };
  if (!keys) return { ok: true, ...counts };
  const ring = await keyringFor(manifest, folder, keys);
  const temporary = await mkdtemp(join(tmpdir(), 'millrace-backup-'));
  try {
    return await withEmbedded(join(temporary, POSTGRES), async (url) => {
      await loadDatabase(url, folder, manifest, { signal: told.signal, onProgress: told.onLoad });
      if (!manifest.log || !ring) return { ok: true, ...counts };
      const log = await verifyCopy(url, manifest.log.prefix, ring, told);
      return { ok: log.ok, ...counts, log };
    });
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

async function verifyCopy(url: string, prefix: string, ring: Keyring, told: CheckTold): Promise<Verification> {
  const database = await openDataSource({ url, poolSize: 4 });
  try {
    const store = await PostgresEventStore.open({ connectionString: url, prefix });
    try {
      // Nobody follows this log: what its trees have is all that they will ever have.
      const progress = { whenProcessed: () => Promise.resolve() };
      const keys = new SigningKeys(store, new PostgresSecrets(database, ring));
      const events = new EventReader(database, store, progress);
      const steps = verifyLog({ store, database, progress, keys, events }, { tree: WHOLE_LOG, signal: told.signal });
      for (;;) {
        const { done, value } = await steps.next();
        if (done === true) return value;
        told.onEvents(value);
      }
    } finally {
      await store.close();
    }
  } finally {
    await database.destroy();
  }
}

export type { Verification } from '../proof/verify-log.js';

/** @throws Rejected `backup.key_missing` */
async function keyringFor(
  { keyId }: Manifest,
  folder: string,
  { secretKeys, dataDir }: DataPlace,
): Promise<Keyring | undefined> {
  if (keyId === undefined) return undefined;
  const found = [keyring(secretKeys, dataDir), keyring([], folder)].find((ring) => ring?.ids.includes(keyId));
  if (found) return found;
  throw new Rejected(
    'invalid',
    'backup.key_missing',
    `The signatures cannot be verified: the secrets of the backup are encrypted under key ${keyId}. Set MILLRACE_SECRET_KEY to that key, or give the data folder with its secret.key (--data-dir), or compare the files alone (--files-only).`,
  );
}

function keyring(secretKeys: readonly Buffer[], dataDir: string): Keyring | undefined {
  const own = secretKeys.length > 0 ? undefined : readKeyFile(dataDir);
  const [first, ...others] = own ? [own] : secretKeys;
  return first && new Keyring([first, ...others]);
}

async function withDatabase<T>({ databaseUrl, dataDir }: DataPlace, work: (url: string) => Promise<T>): Promise<T> {
  if (databaseUrl !== undefined) return work(databaseUrl);
  const folder = join(dataDir, POSTGRES);
  const running = await EmbeddedPostgres.running(folder);
  if (running !== undefined) return work(running);
  if (!(await exists(folder)))
    throw new Rejected(
      'not_found',
      'backup.no_data',
      `There is no database in ${folder}. Give the data folder with --data-dir, or the URL of your own PostgreSQL with --database.`,
    );
  return withEmbedded(folder, work);
}

async function withEmbedded<T>(folder: string, work: (url: string) => Promise<T>): Promise<T> {
  const postgres = await EmbeddedPostgres.start({ folder });
  try {
    return await work(postgres.url);
  } finally {
    await postgres.stop();
  }
}

/** What backups under this name that were killed left behind. */
async function removeLeftovers(folder: string): Promise<void> {
  const parent = dirname(resolve(folder));
  const names = await readdir(parent).catch(() => []);
  const unfinished = `${basename(folder)}.tmp-`;
  for (const name of names)
    if (name.startsWith(unfinished) && !isAlive(Number.parseInt(name.slice(unfinished.length), 10)))
      await rm(join(parent, name), { recursive: true, force: true });
}

async function copyWhole(from: string, to: string): Promise<void> {
  await copyFile(from, to);
  const file = await open(to, 'r+');
  try {
    await file.chmod(0o600);
    await file.sync();
  } finally {
    await file.close();
  }
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );
