import { mkdir, readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import pg from 'pg';

import { backoff } from '#libs/kernel/src/time/backoff.js';
import { messageOf, Rejected } from '#libs/kernel/src/errors.js';
import { type Log, silentLog } from '#libs/kernel/src/log.js';

import { type Account, postgresAccount } from './postgres-account.adapter.js';
import { postgresBinaries, type PostgresBinaries } from './postgres-binaries.adapter.js';
import { ensureFolder, explained, fileProblem, layout, removeLeftovers, SUPERUSER } from './postgres-folder.adapter.js';
import { ownerName, takeOwnership } from './postgres-ownership.adapter.js';
import { findRunning, isAlive, type LaunchedPostgres, launchPostgres } from './postgres-process.adapter.js';
import { durabilityOf, SERVER_SETTINGS } from './postgres-settings.js';

export interface EmbeddedPostgresOptions {
  /** The folder of the cluster, `.millrace/postgres`; made if it is not there. */
  readonly folder: string;
  /** How to reach this process, for the message to a process that starts on the same folder: `http://127.0.0.1:3000`. */
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

const DATABASE = 'millrace';

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
    let server: EmbeddedPostgres | undefined;
    try {
      await mkdir(dirname(folder), { recursive: true });
      const account = await postgresAccount(layout(folder).data, [folder, binaries.postgres]);
      await ensureFolder(folder, binaries, account, options.durable ?? true);
      const password = await readFile(layout(folder).password, 'utf8');
      server = new EmbeddedPostgres(options, binaries, account, password);
      await server.own();
      await removeLeftovers(folder);
      return server;
    } catch (error) {
      await server?.stop();
      throw fileProblem(error, folder);
    }
  }

  /** The URL of the PostgreSQL that runs on this folder, whoever started it; `undefined` if none does. */
  static async running(folder: string): Promise<string | undefined> {
    const address = (await findRunning(resolve(folder)))?.address;
    return address && urlAt(address, await readFile(layout(resolve(folder)).password, 'utf8'), DATABASE);
  }

  /** For `pg` and {@link openDataSource}; holds the password. */
  get url(): string {
    return this.urlOf(DATABASE);
  }

  urlOf(database: string): string {
    return urlAt(this.address!, this.password, database);
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
    let child: LaunchedPostgres | undefined;
    let sayNext = Date.now() + 5_000;
    for (;;) {
      if (this.stopping) return;
      const running = await findRunning(this.folder);
      if (!running && (child === undefined || child.exited !== undefined)) {
        if (child?.exited !== undefined) await this.failIfHopeless(child.logFrom);
        child = await launchPostgres(this.folder, this.binaries, this.account, this.settings(), this.address?.port);
      }
      const client = running?.address && (await this.connect(running.address));
      if (client) {
        await takeOwnership(client, this.folder);
        if (!child)
          this.log.info(
            { postgres: running.pid },
            'PostgreSQL is still running: the previous Millrace process was killed',
          );
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

  private settings(): Readonly<Record<string, string>> {
    const { durable = true, settings } = this.options;
    return { ...SERVER_SETTINGS, ...durabilityOf(durable), ...settings };
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
      application_name: ownerName(this.options.address),
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

  private hold(client: pg.Client): void {
    this.owner = client;
    client.once('end', () => {
      if (this.stopping) return;
      this.owner = undefined;
      this.log.error({ folder: this.folder }, 'the embedded PostgreSQL stopped; restarting it');
      this.recovering = this.recover().finally(() => (this.recovering = undefined));
    });
  }

  private async recover(): Promise<void> {
    for (let tries = 1; !this.stopping; tries++) {
      try {
        await this.own();
        if (!this.stopping) this.log.info({ folder: this.folder }, 'the embedded PostgreSQL runs again');
        return;
      } catch (error) {
        if (error instanceof Rejected && error.code === 'data_dir.in_use') return this.lost(error);
        this.log.error({ error: messageOf(error) }, 'the embedded PostgreSQL does not start; retrying');
        await delay(backoff(tries, { first: 100, max: 5_000 }));
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

function urlAt({ host, port }: Address, password: string, database: string): string {
  const credentials = `${SUPERUSER}:${encodeURIComponent(password)}`;
  return host.startsWith('/')
    ? `postgresql://${credentials}@localhost:${port}/${database}?host=${encodeURIComponent(host)}`
    : `postgresql://${credentials}@${host}:${port}/${database}`;
}
