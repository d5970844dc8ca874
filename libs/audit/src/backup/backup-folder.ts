import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';

import { Rejected } from '#libs/kernel/src/errors.js';
import { isObject } from '#libs/kernel/src/json.js';
import { parseJson, stringifyJson } from '#libs/kernel/src/text/exact-json.js';

/**
 * A backup is a folder: `manifest.json`, and in `tables/` a file for each table, as PostgreSQL's binary COPY writes it,
 * compressed with gzip. The manifest is written last: a folder without one is no backup.
 */
export const BACKUP_FORMAT = 'millrace-backup/v1';
const MANIFEST = 'manifest.json';
export const TABLES = 'tables';

export interface SavedTable {
  /** `log.events` */
  readonly name: string;
  readonly columns: readonly string[];
  readonly rows: number;
  /** Of the file, compressed. */
  readonly bytes: number;
  /** Of the file, hex. */
  readonly sha256: string;
}

export interface Manifest {
  readonly format: typeof BACKUP_FORMAT;
  /** When the snapshot was taken. */
  readonly createdAt: string;
  /** Version of the program that made it. */
  readonly program: string;
  /** Names of the migrations of the schema `views` that were applied. */
  readonly views: readonly string[];
  /** Absent where the log is in EventStoreDB: then the backup holds everything else. */
  readonly log?: { readonly version: number; readonly prefix: string; readonly head: string };
  /** Of the key under which the secrets are encrypted; absent while there is none. */
  readonly keyId?: string;
  /** Last values by name; null for one that was never used. */
  readonly sequences: Readonly<Record<string, string | null>>;
  readonly tables: readonly SavedTable[];
}

export const fileOf = (folder: string, table: string): string => join(folder, TABLES, `${table}.copy.gz`);

export async function writeManifest(folder: string, manifest: Manifest): Promise<void> {
  const file = await open(join(folder, MANIFEST), 'wx', 0o600);
  try {
    await file.writeFile(`${stringifyJson(manifest, 2)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  for (const path of [join(folder, TABLES), folder]) await syncFolder(path);
}

/** @throws Rejected `backup.not_found`, `backup.not_whole`, `backup.unknown_format` */
export async function readManifest(folder: string): Promise<Manifest> {
  let text: string;
  try {
    text = await readFile(join(folder, MANIFEST), 'utf8');
  } catch (error) {
    const isThere = await stat(folder).then(
      (found) => found.isDirectory(),
      () => false,
    );
    if (!isThere) throw new Rejected('not_found', 'backup.not_found', `There is no folder ${folder}.`);
    const why = (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'has no manifest.json' : 'cannot be read';
    throw new Rejected('invalid', 'backup.not_whole', `${folder} ${why}: it is not a whole backup.`);
  }
  const manifest = parsed(text);
  if (manifest?.['format'] !== BACKUP_FORMAT || !Array.isArray(manifest['tables']) || !Array.isArray(manifest['views']))
    throw new Rejected(
      'invalid',
      'backup.unknown_format',
      `${join(folder, MANIFEST)} is not the manifest of a ${BACKUP_FORMAT}. Use the version of Millrace that made it.`,
    );
  return manifest as unknown as Manifest;
}

function parsed(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value = parseJson(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** A file that is not what the manifest says. */
export interface FileProblem {
  readonly table: string;
  readonly detail: string;
}

/** Reads every file and compares it with its hash. */
export async function checkFiles(
  folder: string,
  { tables }: Manifest,
  onTable: (name: string) => void = () => undefined,
): Promise<readonly FileProblem[]> {
  const problems: FileProblem[] = [];
  for (const { name, sha256, bytes } of tables) {
    onTable(name);
    const hash = createHash('sha256');
    try {
      await pipeline(createReadStream(fileOf(folder, name)), hash);
      if (hash.digest('hex') === sha256) continue;
      const { size } = await stat(fileOf(folder, name));
      const what = size === bytes ? 'was changed' : `has ${size} bytes, and had ${bytes}`;
      problems.push({ table: name, detail: `The file of the table ${what}.` });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      problems.push({ table: name, detail: `The file of the table cannot be read: ${code ?? 'unknown error'}.` });
    }
  }
  return problems;
}

export async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(path, 'r');
  await handle.sync().finally(() => handle.close());
}
