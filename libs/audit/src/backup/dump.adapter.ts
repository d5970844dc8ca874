import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, createGzip } from 'node:zlib';

import pg from 'pg';
import { to as copyTo } from 'pg-copy-streams';

import { INSTALLATION } from '#libs/access/src/secrets/key-in-force.adapter.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { APPLIED_MIGRATIONS } from '#libs/persistence/src/data-source.adapter.js';
import { VERSION } from '#libs/persistence/src/version.js';

import { BACKUP_FORMAT, fileOf, type Manifest, type SavedTable } from './backup-folder.js';

/** How far a backup or a restore has come. */
export interface TableProgress {
  readonly table: string;
  /** Uncompressed bytes of this table so far. */
  readonly bytes: number;
  /** Tables before this one, of all. */
  readonly done: number;
  readonly of: number;
}

export interface Moving {
  readonly signal: AbortSignal;
  readonly onProgress: (progress: TableProgress) => void;
}

/** These two say which migrations were applied; a restore applies them again. */
const NOT_SAVED = ['log.migrations', APPLIED_MIGRATIONS.table];

/**
 * Writes every table of one snapshot into `folder`: what is committed at this moment, whatever is written meanwhile. Only
 * who wants to change a table's form has to wait.
 * @throws Rejected `backup.no_data` where there is no database of this program.
 */
export async function dumpDatabase(url: string, folder: string, { signal, onProgress }: Moving): Promise<Manifest> {
  const client = await connected(url, signal);
  try {
    await client.query('begin isolation level repeatable read read only');
    const tables = await tablesOf(client);
    if (!tables.some(({ name }) => name === INSTALLATION.table))
      throw new Rejected(
        'not_found',
        'backup.no_data',
        'The database holds nothing of Millrace: start a server first.',
      );
    // As one statement: from here on nothing can be swapped or emptied under the snapshot.
    await client.query(`lock table ${tables.map(({ name }) => name).join(', ')} in access share mode`);
    const head = await headOf(client);
    const saved: SavedTable[] = [];
    for (const [done, { name, columns }] of tables.filter(({ name }) => !NOT_SAVED.includes(name)).entries()) {
      const of = tables.length - NOT_SAVED.length;
      const told = (bytes: number): void => onProgress({ table: name, bytes, done, of });
      saved.push(await dumpTable(client, folder, name, columns, told, signal));
    }
    await client.query('commit');
    return { format: BACKUP_FORMAT, ...head, tables: saved };
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** A connection that is closed when `signal` aborts: what is under way fails then. */
export async function connected(url: string, signal: AbortSignal): Promise<pg.Client> {
  signal.throwIfAborted();
  const client = new pg.Client({
    connectionString: url,
    application_name: 'millrace backup',
    connectionTimeoutMillis: 5_000,
  });
  client.on('error', () => undefined);
  await client.connect();
  const stop = (): void => void client.end().catch(() => undefined);
  signal.addEventListener('abort', stop);
  client.once('end', () => signal.removeEventListener('abort', stop));
  return client;
}

interface Table {
  readonly name: string;
  readonly columns: readonly string[];
}

/** The log first: it is what all others follow from. */
async function tablesOf(client: pg.Client): Promise<readonly Table[]> {
  const { rows } = await client.query<{ name: string; columns: string[] }>(`
    select format('%I.%I', n.nspname, c.relname) as name,
      array_agg(quote_ident(a.attname) order by a.attnum) as columns
     from pg_class c
     join pg_namespace n on n.oid = c.relnamespace
     join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
    where n.nspname in ('log', 'views') and c.relkind = 'r' and c.relpersistence <> 't'
    group by n.nspname, c.relname order by n.nspname, c.relname`);
  return rows;
}

async function headOf(client: pg.Client): Promise<Omit<Manifest, 'format' | 'tables'>> {
  const migrations = await client.query<{ name: string }>(APPLIED_MIGRATIONS.sql);
  const installation = await client.query<{ key_id: string | null }>(INSTALLATION.sql);
  const sequences = await client.query<{ name: string; last: string | null }>(
    `select format('%I.%I', schemaname, sequencename) as name, last_value::text as last
      from pg_sequences where schemaname in ('log', 'views')`,
  );
  const now = await client.query<{ now: Date }>('select now() as now');
  const log = await logOf(client);
  const keyId = installation.rows[0]?.key_id ?? undefined;
  return {
    createdAt: now.rows[0]!.now.toISOString(),
    program: VERSION,
    views: migrations.rows.map(({ name }) => name),
    ...(log && { log }),
    ...(keyId !== undefined && { keyId }),
    sequences: Object.fromEntries(sequences.rows.map(({ name, last }) => [name, last])),
  };
}

async function logOf(client: pg.Client): Promise<Manifest['log']> {
  const { rows: there } = await client.query<{ found: string | null }>(`select to_regclass('log.prefix') as found`);
  if (!there[0]?.found) return undefined;
  const { rows } = await client.query<{ version: number; prefix: string; head: string }>(
    `select (select max(version) from log.migrations) as version, (select prefix from log.prefix) as prefix,
       (select position::text from log.head) as head`,
  );
  return rows[0];
}

async function dumpTable(
  client: pg.Client,
  folder: string,
  name: string,
  columns: readonly string[],
  told: (bytes: number) => void,
  signal: AbortSignal,
): Promise<SavedTable> {
  const path = fileOf(folder, name);
  const rows = client.query(copyTo(`copy ${name} (${columns.join(', ')}) to stdout (format binary)`));
  let size = 0;
  const counted = new Transform({
    transform(chunk: Buffer, _, done) {
      told((size += chunk.length));
      done(null, chunk);
    },
  });
  const hash = createHash('sha256');
  let bytes = 0;
  const hashed = new Transform({
    transform(chunk: Buffer, _, done) {
      hash.update(chunk);
      bytes += chunk.length;
      done(null, chunk);
    },
  });
  told(0);
  const gzip = createGzip({ level: constants.Z_BEST_SPEED });
  await pipeline(rows, counted, gzip, hashed, createWriteStream(path, { flags: 'wx', mode: 0o600 }), { signal });
  const file = await open(path, 'r+');
  await file.sync().finally(() => file.close());
  return { name, columns, rows: rows.rowCount, bytes, sha256: hash.digest('hex') };
}
