import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

import pg from 'pg';

import { ROOT } from '../../support/server.js';
import { TYPESCRIPT } from './typescript-process.js';
import { parentOf, secondsOfFamily } from './process-usage.js';

/** What was done in a database so far. None of it depends on how busy the machine is. */
export interface DatabaseCounts {
  readonly logEvents: number;
  readonly transactions: number;
  /** Each is a round trip: `begin` and `commit` count too. */
  readonly statements: number;
  readonly inserted: number;
  readonly updated: number;
  readonly deleted: number;
  readonly walBytes: number;
}

/** PostgreSQL's backends report their statistics within 10 s of becoming idle. */
const STATISTICS_LATE_MS = 11_000;

/**
 * A PostgreSQL for one benchmark, with the settings of the embedded one. It runs outside the server so that its statistics can
 * be read and peers can use it. In a test run it is the one that all specs share.
 */
export class BenchPostgres {
  private databases = 0;

  private constructor(
    private readonly admin: pg.Client,
    private readonly url: string,
    private readonly postmaster: number,
    private readonly own: ChildProcess | undefined,
  ) {}

  static async start(): Promise<BenchPostgres> {
    const shared = process.env['MILLRACE_TEST_POSTGRES'];
    const own = shared === undefined ? spawnPostgres() : undefined;
    const url = shared ?? (await firstLineOf(own!));
    const admin = new pg.Client({ connectionString: url });
    await admin.connect();
    await admin.query('create extension if not exists pg_stat_statements');
    const { rows } = await admin.query<{ pid: number }>('select pg_backend_pid() as pid');
    return new BenchPostgres(admin, url, await parentOf(rows[0]!.pid), own);
  }

  /** A new, empty database. */
  async createDatabase(): Promise<string> {
    const name = `bench_${process.pid}_${Date.now().toString(36)}_${this.databases++}`;
    await this.admin.query(`create database ${name}`);
    return Object.assign(new URL(this.url), { pathname: `/${name}` }).href;
  }

  async drop(url: string): Promise<void> {
    await this.admin.query(`drop database if exists ${new URL(url).pathname.slice(1)} with (force)`);
  }

  /** CPU seconds of all its processes so far. */
  processorSeconds(): Promise<number> {
    return secondsOfFamily(this.postmaster);
  }

  /** Waits until the statistics of finished work are complete. */
  settle(): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, STATISTICS_LATE_MS));
  }

  async counts(url: string): Promise<DatabaseCounts> {
    await this.admin.query('select pg_stat_clear_snapshot()');
    const { rows } = await this.admin.query<Record<Exclude<keyof DatabaseCounts, 'logEvents'>, string>>(
      `select xact_commit + xact_rollback as transactions, tup_inserted as inserted, tup_updated as updated,
              tup_deleted as deleted, pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0') as "walBytes",
              (select coalesce(sum(calls), 0) from pg_stat_statements where dbid = datid) as statements
         from pg_stat_database where datname = $1`,
      [new URL(url).pathname.slice(1)],
    );
    const { transactions, statements, inserted, updated, deleted, walBytes } = rows[0]!;
    return {
      logEvents: await logHead(url),
      transactions: Number(transactions),
      statements: Number(statements),
      inserted: Number(inserted),
      updated: Number(updated),
      deleted: Number(deleted),
      walBytes: Number(walBytes),
    };
  }

  async stop(): Promise<void> {
    await this.admin.end();
    this.own?.stdin?.end();
    if (this.own) await once(this.own, 'exit');
  }
}

/** Ends, and removes its data, when this process ends. */
const spawnPostgres = (): ChildProcess =>
  spawn(process.execPath, [...TYPESCRIPT, './test/support/postgres-process.ts', 'durable'], {
    cwd: ROOT,
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true,
  });

async function firstLineOf(child: ChildProcess): Promise<string> {
  const lines = createInterface({ input: child.stdout! });
  const [line] = (await Promise.race([once(lines, 'line'), once(child, 'exit').then(() => [])])) as [string?];
  if (line === undefined) throw new Error('PostgreSQL did not start: see above.');
  return line;
}

/** One statement on a connection of its own. */
export async function query<R extends pg.QueryResultRow>(
  url: string,
  sql: string,
  values: unknown[] = [],
): Promise<R[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<R>(sql, values)).rows;
  } finally {
    await client.end();
  }
}

/** Position of the newest event of a log in PostgreSQL. Positions have no gaps. */
export const logHead = async (url: string): Promise<number> =>
  Number((await query<{ position: string }>(url, 'select position from log.head'))[0]!.position);

/** What was done between two counts, for each of `things`. */
export const countsPer = (things: number, before: DatabaseCounts, after: DatabaseCounts): DatabaseCounts =>
  Object.fromEntries(
    Object.entries(after).map(([name, count]) => [name, (count - before[name as keyof DatabaseCounts]) / things]),
  ) as unknown as DatabaseCounts;
