import { spawn } from 'node:child_process';
import { mkdir, open, readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import pg from 'pg';

import { messageOf, Rejected } from '#libs/kernel/src/errors.js';
import { type Log, silentLog } from '#libs/kernel/src/log.js';

import { type Account, postgresAccount } from './postgres-account.adapter.js';
import { postgresBinaries, type PostgresBinaries } from './postgres-binaries.adapter.js';
import {
  asUser,
  ensureFolder,
  explained,
  findRunning,
  isAlive,
  layout,
  plainEnvironment,
  removeLeftovers,
  SUPERUSER,
} from './postgres-folder.adapter.js';
import { durabilityOf, SERVER_SETTINGS } from './postgres-settings.js';

export interface EmbeddedPostgresOptions {
  /** The folder of the cluster, `.millrace/postgres`; made if it is not there. */
  readonly folder: string;
  /** How others reach this process, told to whoever starts on the same folder: `http://127.0.0.1:3000`. */
  readonly address?: string;
  readonly log?: Log;
  /** False gives up safety against power cuts for speed: tests only. */
  readonly durable?: boolean;
  readonly settings?: Readonly<Record<string, string>>;
  /** The folder was lost to another process while the connection to PostgreSQL was down. Default: throws, uncaught. */
  readonly onLost?: (error: Error) => void;
}

interface Address {
  readonly host: string;
  readonly port: number;
}

/** Every process that wants the folder asks for this lock of PostgreSQL; the one that holds it owns the folder. */
const OWNER_LOCK = 7_118_503;
const DATABASE = 'millrace';
/** A socket's path must fit into `sun_path`: 104 bytes on macOS, with `/.s.PGSQL.5432` and its NUL. */
const LONGEST_SOCKET_FOLDER = 88;

/**
 * A PostgreSQL of our own, in a folder of ours: what `npm start` stores in when it is given no database.
 *
 * Who owns the folder is decided by a session lock inside PostgreSQL: it is gone with the process that held it, so no
 * stale lock files can be left, and finding the PostgreSQL of a killed process still running is the ordinary case of
 * connecting and taking the lock. PostgreSQL runs in a process group of its own, so that Ctrl-C reaches us first.
 *
 * States: starting → owning ⇄ recovering (PostgreSQL or the connection went away; it is started again) → stopped.
 */
export class EmbeddedPostgres {
  private owner: pg.Client | undefined;
  private address: Address | undefined;
  private stopping = false;
  private recovering: Promise<void> | undefined;
  private readonly folder: string;
  private readonly log: Log;

  private constructor(
    private readonly options: EmbeddedPostgresOptions,
    private readonly binaries: PostgresBinaries,
    private readonly account: Account,
    private readonly password: string,
  ) {
    this.folder = resolve(options.folder);
    this.log = options.log ?? silentLog;
  }

  /**
   * @throws Rejected `data_dir.in_use` if another process owns the folder, `postgres.cannot_start`,
   * `postgres.no_binaries`, `data_dir.unreachable`: each says what to do.
   */
  static async start(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
    const folder = resolve(options.folder);
    const binaries = await postgresBinaries();
    await mkdir(dirname(folder), { recursive: true });
    const account = await postgresAccount(layout(folder).data, [folder, binaries.postgres]);
    await ensureFolder(folder, binaries, account, options.durable ?? true);
    const password = await readFile(layout(folder).password, 'utf8');
    const server = new EmbeddedPostgres(options, binaries, account, password);
    await server.own();
    await removeLeftovers(folder);
    return server;
  }

  /** For `pg` and {@link openDataSource}; holds the password. */
  get url(): string {
    return this.urlOf(DATABASE);
  }

  urlOf(database: string): string {
    const { host, port } = this.address!;
    const credentials = `${SUPERUSER}:${encodeURIComponent(this.password)}`;
    return host.startsWith('/')
      ? `postgresql://${credentials}@localhost:${port}/${database}?host=${encodeURIComponent(host)}`
      : `postgresql://${credentials}@${host}:${port}/${database}`;
  }

  /** Ends open connections and transactions, writes everything to disk, and waits until PostgreSQL has ended. */
  async stop(): Promise<void> {
    this.stopping = true;
    await this.recovering?.catch(() => undefined);
    const running = await findRunning(this.folder);
    this.owner?.removeAllListeners('end');
    if (running && this.owner) {
      this.owner = undefined;
      // SIGINT is PostgreSQL's fast shutdown: it does not wait for clients.
      process.kill(running.pid, 'SIGINT');
      for (
        let waited = 0;
        isAlive(running.pid) && (await findRunning(this.folder))?.pid === running.pid;
        waited += 10
      ) {
        if (waited === 60_000) process.kill(running.pid, 'SIGQUIT');
        await delay(10);
      }
    }
  }

  /** Connects, starting PostgreSQL where none runs, and takes the lock. */
  private async own(): Promise<void> {
    let child: ReturnType<EmbeddedPostgres['launch']> extends Promise<infer C> ? C | undefined : never;
    let sayNext = Date.now() + 5_000;
    for (;;) {
      if (this.stopping) return;
      const running = await findRunning(this.folder);
      if (!running && (child === undefined || child.exited !== undefined)) {
        if (child?.exited !== undefined) await this.failIfHopeless(child.logFrom);
        child = await this.launch();
      }
      const client = running?.address && (await this.connect(running.address));
      if (client) {
        await this.lockOrRefuse(client);
        this.address = running.address;
        this.hold(client);
        await this.ensureDatabase(client);
        return;
      }
      if (Date.now() > sayNext) {
        this.log.info({ folder: this.folder }, 'PostgreSQL is starting, which takes longer after a crash');
        sayNext += 5_000;
      }
      await delay(running ? 10 : 5);
    }
  }

  private async launch(): Promise<{ exited: number | undefined; logFrom: number }> {
    const { data, log } = layout(this.folder);
    const sockets = process.platform !== 'win32' && Buffer.byteLength(this.folder) <= LONGEST_SOCKET_FOLDER;
    const port = sockets ? 5432 : (this.address?.port ?? (await freePort()));
    const settings: Record<string, string> = {
      ...SERVER_SETTINGS,
      ...durabilityOf(this.options.durable ?? true),
      listen_addresses: sockets ? '' : '127.0.0.1',
      unix_socket_directories: sockets ? this.folder : '',
      port: String(port),
      ...this.options.settings,
    };
    const file = await open(log, 'a', 0o600);
    const { size } = await file.stat();
    const [command, ...args] = [
      ...this.account.through,
      this.binaries.postgres,
      '-D',
      data,
      ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ];
    const state: { exited: number | undefined; logFrom: number } = { exited: undefined, logFrom: size };
    const child = spawn(command!, args, {
      cwd: '/',
      env: plainEnvironment(),
      detached: true,
      stdio: ['ignore', file.fd, file.fd],
      ...asUser(this.account),
    });
    child.on('exit', (code) => (state.exited = code ?? -1));
    child.on('error', (error) => {
      state.exited = -1;
      this.log.error({ error: messageOf(error) }, 'PostgreSQL could not be started');
    });
    child.unref();
    await file.close();
    return state;
  }

  /** PostgreSQL ended at once. If another process was faster in starting it, that is no failure. */
  private async failIfHopeless(logFrom: number): Promise<void> {
    const text = (await readFile(layout(this.folder).log)).subarray(logFrom).toString('utf8');
    if (/lock file ".*" already exists|pre-existing shared memory block/.test(text)) return delay(50);
    throw explained(`The embedded PostgreSQL in ${this.folder} does not start`, text);
  }

  private async connect(address: Address): Promise<pg.Client | undefined> {
    const client = new pg.Client({
      ...address,
      user: SUPERUSER,
      password: this.password,
      database: 'postgres',
      connectionTimeoutMillis: 10_000,
      application_name: `millrace ${process.pid} ${this.options.address ?? ''}`.trim().slice(0, 63),
    });
    client.on('error', () => undefined);
    try {
      await client.connect();
      return client;
    } catch (error) {
      if ((error as { code?: string }).code !== '28P01') return undefined;
      throw new Rejected(
        'invalid',
        'data_dir.wrong_password',
        `PostgreSQL in ${this.folder} does not accept the password in ${layout(this.folder).password}. Restore that file, or choose another MILLRACE_DATA_DIR.`,
      );
    }
  }

  private async lockOrRefuse(client: pg.Client): Promise<void> {
    for (const deadline = Date.now() + 10_000; ; await delay(50)) {
      const { rows } = await client.query<{ mine: boolean }>('select pg_try_advisory_lock($1) as mine', [OWNER_LOCK]);
      if (rows[0]!.mine) return;
      const holder = await client.query<{ name: string }>(
        `select a.application_name as name from pg_locks l join pg_stat_activity a using (pid)
          where l.locktype = 'advisory' and l.granted and l.objid = $1`,
        [OWNER_LOCK],
      );
      const [, pid, address] = holder.rows[0]?.name.split(' ') ?? [];
      // The connection of a process that was just killed may need a moment to be noticed.
      if (Date.now() < deadline && !(pid && isAlive(Number(pid)))) continue;
      await client.end();
      throw new Rejected(
        'conflict',
        'data_dir.in_use',
        `The data folder ${dirname(this.folder)} is in use by another Millrace (process ${pid ?? 'unknown'}${address ? `, ${address}` : ''}). Stop that one, or give this one a folder of its own with MILLRACE_DATA_DIR.`,
      );
    }
  }

  private hold(client: pg.Client): void {
    this.owner = client;
    client.once('end', () => {
      if (this.stopping) return;
      this.owner = undefined;
      this.log.error({ folder: this.folder }, 'the embedded PostgreSQL went away; starting it again');
      this.recovering = this.recover().finally(() => (this.recovering = undefined));
    });
  }

  private async recover(): Promise<void> {
    for (let pause = 100; !this.stopping; pause = Math.min(pause * 2, 5_000)) {
      try {
        await this.own();
        if (!this.stopping) this.log.info({ folder: this.folder }, 'the embedded PostgreSQL is back');
        return;
      } catch (error) {
        if (error instanceof Rejected && error.code === 'data_dir.in_use') return this.lost(error);
        this.log.error({ error: messageOf(error) }, 'the embedded PostgreSQL does not come back; trying on');
        await delay(pause);
      }
    }
  }

  private lost(error: Error): void {
    if (this.options.onLost) this.options.onLost(error);
    else
      setImmediate(() => {
        throw error;
      });
  }

  private async ensureDatabase(client: pg.Client): Promise<void> {
    const { rowCount } = await client.query('select from pg_database where datname = $1', [DATABASE]);
    if (rowCount === 0) await client.query(`create database ${DATABASE}`);
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done, fail) => server.once('error', fail).listen(0, '127.0.0.1', done));
  const { port } = server.address() as { port: number };
  await new Promise((done) => server.close(done));
  return port;
}
