import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import pg from 'pg';

import { until } from '#libs/kernel/testing/wait-for.js';

import { EmbeddedPostgres, type EmbeddedPostgresOptions } from './embedded-postgres.adapter.js';
import { postgresAccount } from './postgres-account.adapter.js';
import { layout } from './postgres-folder.adapter.js';
import { findRunning, isAlive } from './postgres-process.adapter.js';

const ROOT = resolve(import.meta.dirname, '../../../..');
/** Only root can give the database to another account; anyone else runs it as themselves, and has nothing to try here. */
const asRoot = process.getuid?.() === 0 ? test : test.skip;

let base: string;
let folder: string;
let servers: EmbeddedPostgres[];
let children: ChildProcess[];

beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'millrace-pg-'));
  folder = join(base, 'data', 'postgres');
  servers = [];
  children = [];
});

afterEach(async () => {
  await Promise.all(servers.map((server) => server.stop()));
  for (const child of children) await end(child);
  const orphan = await findRunning(folder);
  if (orphan) process.kill(orphan.pid, 'SIGQUIT');
  await until(async () => (await findRunning(folder)) === undefined);
  await rm(base, { recursive: true, force: true });
});

async function start(more: Partial<EmbeddedPostgresOptions> = {}): Promise<EmbeddedPostgres> {
  const server = await EmbeddedPostgres.start({ folder, durable: false, ...more });
  servers.push(server);
  return server;
}

async function stop(server: EmbeddedPostgres): Promise<void> {
  servers = servers.filter((other) => other !== server);
  await server.stop();
}

/** A process that owns the folder, and the line it says. */
async function owner(): Promise<{ child: ChildProcess; said: string }> {
  const child = spawn(
    process.execPath,
    [
      '--conditions=source',
      '--import',
      './test/support/register-ts.mjs',
      'libs/persistence/testing/owner-process.ts',
      folder,
    ],
    { cwd: ROOT, stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, NODE_OPTIONS: '' } },
  );
  children.push(child);
  const [said] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  return { child, said };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.stdin?.end();
  await exited;
}

async function kill(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

async function query(server: EmbeddedPostgres, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: server.url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

describe('a folder', () => {
  test('is made at the first start, and found again with its data at the next', async () => {
    const first = await start();
    await query(first, 'create table kept as select 42 as answer');
    await stop(first);
    expect(await findRunning(folder)).toBeUndefined();
    const second = await start();
    expect(await query(second, 'select answer from kept')).toEqual([{ answer: 42 }]);
  });

  test('keeps its password and its data to the user that runs PostgreSQL', async () => {
    await start();
    const { password, data } = layout(folder);
    expect((await stat(password)).mode & 0o077).toBe(0);
    expect((await stat(data)).mode & 0o077).toBe(0);
    expect((await stat(folder)).mode & 0o077).toBe(0);
  });

  test('stores durably unless a test asks for speed', async () => {
    const server = await start({ durable: true });
    const names = ['fsync', 'full_page_writes', 'synchronous_commit', 'data_checksums'];
    const rows = await query(
      server,
      `select name, setting from pg_settings where name in ('${names.join("','")}') order by name`,
    );
    expect(rows.map(({ setting }) => setting)).toEqual(['on', 'on', 'on', 'on']);
  });

  test('whose path is too long for a socket is served on a port of 127.0.0.1 alone', async () => {
    folder = join(base, 'long'.repeat(30), 'postgres');
    const server = await start();
    expect(new URL(server.url).hostname).toBe('127.0.0.1');
    expect(await query(server, 'show listen_addresses')).toEqual([{ listen_addresses: '127.0.0.1' }]);
  });

  test('that cannot be used is named, with what to do', async () => {
    await writeFile(join(base, 'file'), '');
    folder = join(base, 'file', 'postgres');
    await expect(start()).rejects.toMatchObject({
      code: 'data_dir.unusable',
      message: expect.stringContaining('MILLRACE_DATA_DIR'),
    });
  });

  test('whose password was lost is not guessed at', async () => {
    await stop(await start());
    await writeFile(layout(folder).password, 'another');
    await expect(start()).rejects.toMatchObject({ code: 'data_dir.wrong_password' });
  });
});

describe('a process that was killed', () => {
  test('leaves PostgreSQL running, which the next one takes over without a restart', async () => {
    const { child, said } = await owner();
    const pid = Number(said.split(' ')[1]);
    await kill(child);
    expect(isAlive(pid)).toBe(true);
    const server = await start();
    expect((await findRunning(folder))?.pid).toBe(pid);
    expect(await query(server, 'select 1 as one')).toEqual([{ one: 1 }]);
  });

  test('in the middle of its first start leaves nothing that is in the way', async () => {
    const starting = owner().catch(() => undefined);
    const parent = join(base, 'data');
    await until(async () => (await readdir(parent).catch(() => [])).some((name) => name.includes('.tmp-')));
    await kill(children[0]!);
    await Promise.race([starting, Promise.resolve()]);
    expect(await readdir(parent)).not.toContain('postgres');
    await start();
    expect(await readdir(parent)).toEqual(['postgres']);
  });

  test('and whose PostgreSQL died with the machine, its number now that of somebody else, is no obstacle', async () => {
    await stop(await start());
    await writeFile(
      layout(folder).pidFile,
      `${process.pid}\n${layout(folder).data}\n1700000000\n5432\n${folder}\n\n\n`,
    );
    const server = await start();
    expect(await query(server, 'select 1 as one')).toEqual([{ one: 1 }]);
  });
});

describe('of two that start on one folder', () => {
  test('the second is refused with the number and the address of the first, which goes on', async () => {
    const { said } = await owner();
    expect(said).toMatch(/^owns /);
    const refused: unknown = await start().catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'data_dir.in_use' });
    const { message } = refused as Error;
    expect(message).toContain(`process ${children[0]!.pid}, http://127.0.0.1:3999`);
    expect(message).toContain('MILLRACE_DATA_DIR');
    expect(await findRunning(folder)).toMatchObject({ pid: Number(said.split(' ')[1]) });
  });

  test('at the same moment and for the first time, one wins and the other is refused', async () => {
    const said = (await Promise.all([owner(), owner()])).map((one) => one.said.split(' ')[0]);
    expect(said.sort()).toEqual(['owns', 'refused']);
    expect(await readdir(join(base, 'data'))).toEqual(['postgres']);
  });
});

describe('PostgreSQL', () => {
  test('that dies is started again under the same address, with everything that was committed', async () => {
    const server = await start({ durable: true });
    const { url } = server;
    await query(server, 'create table kept as select 7 as answer');
    process.kill((await findRunning(folder))!.pid, 'SIGKILL');
    await until(() =>
      query(server, 'select answer from kept').then(
        ([row]) => row?.['answer'] === 7,
        () => false,
      ),
    );
    expect(server.url).toBe(url);
  });

  test('is in a process group of its own, so that Ctrl-C does not reach it', async () => {
    await start();
    const { pid } = (await findRunning(folder))!;
    const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]!.split(' ');
    expect(Number(fields[2])).toBe(pid);
  });

  asRoot('does not run as root, also below a folder that only root may pass', async () => {
    const closed = join(base, 'closed');
    await mkdir(closed);
    await chmod(closed, 0o700);
    folder = join(closed, 'data', 'postgres');
    const server = await start();
    const { pid } = (await findRunning(folder))!;
    const status = await readFile(`/proc/${pid}/status`, 'utf8');
    expect(status).not.toMatch(/^Uid:\t0/m);
    // One capability, and none that writes.
    expect(/^CapEff:\t(.*)$/m.exec(status)![1]).toBe('0000000000000004');
    expect(await query(server, 'select 1 as one')).toEqual([{ one: 1 }]);
    expect((await stat(closed)).uid).toBe(0);
  });

  asRoot('finds its programs below such a folder too, as in a clone that only root may enter', async () => {
    const closed = join(base, 'closed');
    const program = join(closed, 'initdb');
    await mkdir(closed);
    await writeFile(program, '', { mode: 0o755 });
    await chmod(closed, 0o700);
    const { through } = await postgresAccount(join(base, 'data'), [program]);
    const [command, ...args] = [...through, 'test', '-x', program];
    expect(spawnSync(command, args, { cwd: '/' }).status).toBe(0);
  });

  asRoot('says what to do where that is impossible', async () => {
    await chmod(base, 0o700);
    const { PATH } = process.env;
    process.env['PATH'] = base;
    try {
      await expect(start()).rejects.toMatchObject({
        code: 'data_dir.unreachable',
        message: expect.stringMatching(/MILLRACE_DATA_DIR.*chmod o\+x/),
      });
    } finally {
      process.env['PATH'] = PATH;
    }
  });
});
