import pg from 'pg';
import { DataSource, type EntitySchema } from 'typeorm';

import { refuseOldPostgres } from '#libs/event-store/src/adapters/postgres/postgres-version.js';
import { messageOf, Rejected, Transient } from '#libs/kernel/src/errors.js';
import { parseAsWritten } from '#libs/kernel/src/text/exact-json.js';
import { type Log, silentLog } from '#libs/kernel/src/log.js';

import { databaseError } from './database-errors.js';
import { GuardedClient } from './guarded-client.adapter.js';
import { recordVersion } from './migrations/0022-installation.js';
import { migrations } from './migrations/list.js';
import { refuseNewer } from './newer-views.adapter.js';
import { VERSION } from './version.js';

export interface DataSourceSettings {
  /** `postgresql://user:password@host:port/database`; `?host=/folder` for a socket. */
  readonly url: string;
  /** Classes with `@Entity`. */
  readonly entities?: readonly (string | EntitySchema | (new () => unknown))[];
  /** Most connections of this pool (default 20). */
  readonly poolSize?: number;
  readonly log?: Log;
}

// A column of JSON gives back the digits that were written, whatever JavaScript makes of them.
for (const type of [pg.types.builtins.JSON, pg.types.builtins.JSONB]) pg.types.setTypeParser(type, parseAsWritten);

/** Which migrations the schema has. */
export const APPLIED_MIGRATIONS = { table: 'views.migrations', sql: 'select name from views.migrations order by id' };

/** Held while migrations run: several processes may start at once. */
const MIGRATION_LOCK = 7_118_504;

/**
 * Connects and brings the schema `views` to its newest form.
 * @throws Rejected `database.too_old`, `database.newer_version`; `database.bad_url`, `database.unreachable`, `database.refused`: each names DATABASE_URL, never the password.
 */
export async function openDataSource(settings: DataSourceSettings): Promise<DataSource> {
  const { url } = settings;
  const where = placeOf(url);
  try {
    await migrateViews(url);
    return await connect(settings);
  } catch (error) {
    throw startError(error, where);
  }
}

/** A statement that takes longer has lost its connection. Migrations may take as long as they need. */
const SILENT_FOR_MS = 20_000;

const connectionTo = (url: string): pg.PoolConfig => ({
  connectionString: url,
  keepAlive: true,
  keepAliveInitialDelayMillis: 5_000,
  connectionTimeoutMillis: 5_000,
  query_timeout: SILENT_FOR_MS,
  // What a frozen process has locked in mid-transaction is free again after a while.
  idle_in_transaction_session_timeout: 60_000,
  Client: GuardedClient,
});

function connect({ url, entities = [], poolSize = 20, log = silentLog }: DataSourceSettings): Promise<DataSource> {
  const dataSource = new DataSource({
    type: 'postgres',
    schema: 'views',
    entities: [...entities] as (string | (new () => unknown))[],
    synchronize: false,
    logging: false,
    poolSize,
    applicationName: 'millrace',
    poolErrorHandler: (error: unknown) =>
      log.warn({ error: messageOf(error) }, 'a connection to the database was lost'),
    extra: connectionTo(url),
  });
  return dataSource.initialize();
}

/**
 * Several processes may start at once: the first one migrates, the others find it done.
 * @param only the names of the migrations to apply: the form that a backup was made in. Default: all.
 */
export async function migrateViews(url: string, only?: ReadonlySet<string>): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000, application_name: 'millrace' });
  client.on('error', () => undefined);
  await client.connect();
  const dataSource = new DataSource({
    type: 'postgres',
    schema: 'views',
    migrations: migrations.filter((Migration) => only?.has(new Migration().name) ?? true),
    migrationsTableName: 'migrations',
    poolSize: 1,
    connectTimeoutMS: 5_000,
    extra: { connectionString: url },
  });
  try {
    await refuseOldPostgres(client);
    await client.query('select pg_advisory_lock($1)', [MIGRATION_LOCK]);
    // TypeORM keeps its list of migrations in the schema, so that must be there first.
    await client.query('create schema if not exists views');
    await dataSource.initialize();
    await refuseNewer(dataSource);
    const made = await dataSource.runMigrations({ transaction: 'each' });
    if (made.length > 0) await recordVersion(dataSource, VERSION);
  } finally {
    if (dataSource.isInitialized) await dataSource.destroy();
    await client.end().catch(() => undefined);
  }
}

/** The pool under a data source, for statements that are worth preparing and for parameters that TypeORM does not pass. */
export const poolOf = (dataSource: DataSource): pg.Pool =>
  (dataSource.driver as unknown as { readonly master: pg.Pool }).master;

/**
 * A small pool beside that of the data source, for what must not wait behind requests. End it before the data source.
 * @param timeoutMs how long a statement may take; 0: as long as it needs
 */
export function sidePool(dataSource: DataSource, max: number, timeoutMs = 5_000): pg.Pool {
  const { connectionString = '' } = (dataSource.options as { extra: pg.PoolConfig }).extra;
  const pool = new pg.Pool({
    ...connectionTo(connectionString),
    query_timeout: timeoutMs,
    application_name: 'millrace work',
    max,
  });
  pool.on('error', () => undefined);
  return pool;
}

/** Host, port and database for messages. */
function placeOf(url: string): string {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    throw badUrl();
  }
  if (!/^postgres(ql)?:$/.test(parsed.protocol)) throw badUrl();
  const host = parsed.searchParams.get('host') ?? parsed.hostname;
  const database = decodeURIComponent(parsed.pathname.slice(1));
  return `database "${database}" at ${host}${parsed.port ? `:${parsed.port}` : ''}`;
}

const badUrl = (): Rejected =>
  new Rejected(
    'invalid',
    'database.bad_url',
    'DATABASE_URL must be the URL of a PostgreSQL database: postgresql://user:password@host:5432/database, with special characters of the password percent-encoded.',
  );

function startError(error: unknown, where: string): unknown {
  const code = (error as { code?: unknown }).code;
  const name = typeof code === 'string' ? code : '';
  const advice: Readonly<Record<string, string>> = {
    '28P01': 'user or password is wrong',
    '28000': 'this user may not connect from here',
    '3D000': 'this database does not exist: create it with "createdb"',
    '42501': 'this user may not create the schemas: grant CREATE on the database',
  };
  if (advice[name])
    return new Rejected('invalid', 'database.refused', `DATABASE_URL: ${where} refuses: ${advice[name]}.`, {
      cause: error,
    });
  const known = databaseError(error);
  if (known instanceof Transient)
    return new Rejected(
      'invalid',
      'database.unreachable',
      `DATABASE_URL: ${where} does not answer (${name || messageOf(error)}). Check that PostgreSQL runs there and accepts connections from this machine.`,
      { cause: error },
    );
  return error;
}
