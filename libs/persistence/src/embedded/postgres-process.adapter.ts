import { spawn } from 'node:child_process';
import { open, readFile, stat, unlink } from 'node:fs/promises';
import { createServer } from 'node:net';

import type { Account } from './postgres-account.adapter.js';
import type { PostgresBinaries } from './postgres-binaries.adapter.js';
import { asUser, layout, plainEnvironment } from './postgres-folder.adapter.js';

/** A socket's path must fit into `sun_path`: 104 bytes on macOS, with `/.s.PGSQL.5432` and its NUL. */
const LONGEST_SOCKET_FOLDER = 88;
const LARGEST_LOG = 10 * 1024 * 1024;

export interface LaunchedPostgres {
  /** `undefined` while it runs. */
  exited: number | undefined;
  /** Where in the log file the words of this start begin. */
  readonly logFrom: number;
}

/**
 * Starts PostgreSQL on the folder, in a process group of its own: Ctrl-C reaches Millrace first, which then has a
 * database to finish its work with. It listens on a socket in the folder, where the path is short enough, else on a
 * port of 127.0.0.1.
 * @param port the one that it had before, so that its address stays.
 */
export async function launchPostgres(
  folder: string,
  binaries: PostgresBinaries,
  account: Account,
  settings: Readonly<Record<string, string>>,
  port: number | undefined,
): Promise<LaunchedPostgres> {
  const sockets = process.platform !== 'win32' && Buffer.byteLength(folder) <= LONGEST_SOCKET_FOLDER;
  const all: Readonly<Record<string, string>> = {
    ...settings,
    listen_addresses: sockets ? '' : '127.0.0.1',
    unix_socket_directories: sockets ? folder : '',
    port: String(sockets ? 5432 : (port ?? (await freePort()))),
  };
  const [command, ...args] = [
    ...account.through,
    binaries.postgres,
    '-D',
    layout(folder).data,
    ...Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ];
  const { log } = layout(folder);
  const size = (await stat(log).catch(() => undefined))?.size ?? 0;
  const file = await open(log, size > LARGEST_LOG ? 'w' : 'a', 0o600);
  const launched: LaunchedPostgres = { exited: undefined, logFrom: size > LARGEST_LOG ? 0 : size };
  const child = spawn(command!, args, {
    cwd: '/',
    env: plainEnvironment(),
    detached: true,
    stdio: ['ignore', file.fd, file.fd],
    ...asUser(account),
  });
  child.once('exit', (code) => (launched.exited = code ?? -1));
  child.once('error', () => (launched.exited = -1));
  child.unref();
  await file.close();
  return launched;
}

/** The running server as its pid file tells; `undefined` if there is none. Half-written files have no address yet. */
export interface RunningPostgres {
  readonly pid: number;
  readonly address?: { readonly host: string; readonly port: number };
}

export async function findRunning(folder: string): Promise<RunningPostgres | undefined> {
  const { pidFile } = layout(folder);
  const text = await readFile(pidFile, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const [pidText, , , port, socketFolder, host] = text.split('\n');
  const pid = Number(pidText);
  if (!Number.isInteger(pid) || pid <= 0 || !isAlive(pid)) return undefined;
  if (!(await looksLikePostgres(pid))) {
    // After a reboot the number may belong to anybody. PostgreSQL would take that process for its predecessor.
    if ((await readFile(pidFile, 'utf8').catch(() => '')) === text) await unlink(pidFile).catch(() => undefined);
    return undefined;
  }
  const where = socketFolder || host;
  return where && port ? { pid, address: { host: where, port: Number(port) } } : { pid };
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function looksLikePostgres(pid: number): Promise<boolean> {
  if (process.platform !== 'linux') return true;
  const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  const zombie = status.slice(status.lastIndexOf(')') + 2).startsWith('Z');
  return !zombie && /postgres/.test(command.split('\0')[0] ?? '');
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done, fail) => server.once('error', fail).listen(0, '127.0.0.1', done));
  const { port } = server.address() as { port: number };
  await new Promise((done) => server.close(done));
  return port;
}
