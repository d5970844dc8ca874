import { execFile } from 'node:child_process';
import { mkdir, open, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';

import { messageOf, Rejected } from '#libs/kernel/src/errors.js';
import { randomText } from '#libs/kernel/src/ids.js';

import { type Account, giveTo } from './postgres-account.adapter.js';
import type { PostgresBinaries } from './postgres-binaries.adapter.js';

/** The administrator of the embedded cluster, and the name of its one database. */
export const SUPERUSER = 'millrace';

/**
 * `folder/` is `data/` (PostgreSQL's own), `password`, `postgres.log` and the socket. It comes into being by one
 * rename, so that it is either whole or not there: a process killed in the middle leaves a `.tmp-` folder beside it.
 */
export const layout = (folder: string) => ({
  data: join(folder, 'data'),
  password: join(folder, 'password'),
  log: join(folder, 'postgres.log'),
  pidFile: join(folder, 'data', 'postmaster.pid'),
});

/** Makes the folder if there is none. Of several processes that do so at once, one wins and all go on with its folder. */
export async function ensureFolder(
  folder: string,
  binaries: PostgresBinaries,
  account: Account,
  durable: boolean,
): Promise<void> {
  if (await exists(layout(folder).data)) return;
  const fresh = `${folder}.tmp-${process.pid}-${randomText(6)}`;
  await mkdir(fresh, { recursive: true, mode: 0o700 });
  try {
    const { data, password } = layout(fresh);
    await writeFile(password, randomText(32), { mode: 0o600 });
    await giveTo(account, fresh);
    await initialise(binaries, account, data, password, durable);
    await rename(fresh, folder);
    if (durable) await syncFolder(dirname(folder));
  } catch (error) {
    await rm(fresh, { recursive: true, force: true });
    if (await exists(layout(folder).data)) return;
    throw error;
  }
}

/** What processes that were killed in their first start left behind. Only for the owner of the folder. */
export async function removeLeftovers(folder: string): Promise<void> {
  const parent = dirname(folder);
  for (const name of await readdir(parent))
    if (name.startsWith(`${basename(folder)}.tmp-`)) await rm(join(parent, name), { recursive: true, force: true });
}

async function initialise(
  binaries: PostgresBinaries,
  account: Account,
  data: string,
  password: string,
  durable: boolean,
): Promise<void> {
  // The built-in locale depends on nothing that is installed, and orders text alike on every machine.
  const [command, ...args] = [
    ...account.through,
    binaries.initdb,
    `--pgdata=${data}`,
    `--username=${SUPERUSER}`,
    `--pwfile=${password}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    '--locale=C',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    ...(durable ? [] : ['--no-sync']),
  ];
  try {
    await promisify(execFile)(command!, args, { cwd: '/', env: plainEnvironment(), ...asUser(account) });
  } catch (error) {
    const output = (error as { stderr?: string }).stderr ?? messageOf(error);
    throw explained(`The embedded PostgreSQL could not set up its data folder ${dirname(data)}`, output);
  }
}

/** As options of a child process. With `through`, that program changes the user instead. */
export const asUser = (account: Account): { uid?: number; gid?: number } =>
  account.uid === undefined || account.gid === undefined || account.through.length > 0
    ? {}
    : { uid: account.uid, gid: account.gid };

/** Ours without the variables that PostgreSQL reads (`PGDATA`, `PGPORT`, `LC_ALL` …). */
export function plainEnvironment(): NodeJS.ProcessEnv {
  const { PATH, SystemRoot, TEMP } = process.env;
  return { PATH, LC_ALL: 'C', TZ: 'UTC', ...(SystemRoot && { SystemRoot }), ...(TEMP && { TEMP }) };
}

/** What the file system refused, in words that say what to do; other errors unchanged. */
export function fileProblem(error: unknown, folder: string): unknown {
  const { code, message, syscall } = error as NodeJS.ErrnoException;
  if (error instanceof Rejected || typeof code !== 'string' || syscall === undefined) return error;
  const owned =
    'It may belong to another user who started Millrace here before. Start it as that user, or choose another folder with MILLRACE_DATA_DIR.';
  const advice: Readonly<Record<string, string>> = {
    EACCES: owned,
    EPERM: owned,
    EROFS: 'The disk is read-only: choose another folder with MILLRACE_DATA_DIR.',
    ENOSPC: 'The disk is full: free some space, or choose another folder with MILLRACE_DATA_DIR.',
    ENOTDIR: 'A part of this path is a file: choose another folder with MILLRACE_DATA_DIR.',
    EEXIST: 'A part of this path is a file: choose another folder with MILLRACE_DATA_DIR.',
    ENOTEMPTY: 'It contains files that are not a database: choose another folder with MILLRACE_DATA_DIR.',
  };
  const words = `The data folder ${folder} cannot be used (${message}). ${advice[code] ?? 'Check MILLRACE_DATA_DIR.'}`;
  return new Rejected('invalid', 'data_dir.unusable', words, { cause: error });
}

/** PostgreSQL's own words, with what to do about the usual causes. */
export function explained(what: string, output: string): Rejected {
  const advice = /No space left|Disk quota/i.test(output)
    ? 'The disk is full: free some space, or move MILLRACE_DATA_DIR to another disk.'
    : /incompatible with server|initialized by PostgreSQL version/i.test(output)
      ? 'The data was written by another major version of PostgreSQL: start the Millrace version that wrote it, dump the database, and load it into a new folder.'
      : /Permission denied|Operation not permitted|Read-only file system/i.test(output)
        ? 'Check who owns MILLRACE_DATA_DIR and whether it can be written.'
        : /shared memory|semaphores|semget/i.test(output)
          ? 'The system gives PostgreSQL too little shared memory or too few semaphores: raise its limits, or set DATABASE_URL to a server of your own.'
          : 'If this persists, set DATABASE_URL to a PostgreSQL server of your own.';
  const words = output.trim().split('\n').slice(-5).join(' | ');
  return new Rejected('invalid', 'postgres.cannot_start', `${what}. ${advice} PostgreSQL says: ${words}`);
}

const exists = async (path: string): Promise<boolean> => {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
};

async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  await handle.sync().finally(() => handle.close());
}
