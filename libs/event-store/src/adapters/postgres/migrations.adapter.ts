import type pg from 'pg';

import { DEFAULT_STREAM_PREFIX } from '#libs/events/src/streams.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import { refuseOldPostgres } from './postgres-version.js';
import { MIGRATION_LOCK, MIGRATIONS } from './schema.js';

/**
 * Brings the log's schema to the newest version, under a lock: processes that start together do it once. All streams then
 * begin with `prefix`.
 * @throws Rejected `log.newer_version`; `log.other_prefix` if the log was begun with another one.
 */
export async function migrate(
  client: pg.Client,
  prefix: string = DEFAULT_STREAM_PREFIX,
  migrations: readonly string[] = MIGRATIONS,
): Promise<void> {
  await refuseOldPostgres(client);
  await client.query('BEGIN');
  try {
    await client.query('SELECT pg_advisory_xact_lock($1)', [MIGRATION_LOCK]);
    await client.query(`CREATE SCHEMA IF NOT EXISTS log;
      CREATE TABLE IF NOT EXISTS log.migrations (version int PRIMARY KEY, applied timestamptz NOT NULL DEFAULT now())`);
    const { rows } = await client.query<{ version: number }>(
      'SELECT coalesce(max(version), 0) AS version FROM log.migrations',
    );
    const { version } = rows[0]!;
    if (version > migrations.length)
      throw new Rejected(
        'conflict',
        'log.newer_version',
        `The log in this database has version ${version}; this version of Millrace supports up to ${migrations.length}. Start a newer version.`,
      );
    for (const [index, migration] of migrations.entries()) {
      if (index < version) continue;
      await client.query(migration);
      await client.query('INSERT INTO log.migrations (version) VALUES ($1)', [index + 1]);
    }
    await usePrefix(client, prefix);
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

/** The first process renames the existing streams: all of them are older than prefixes. */
async function usePrefix(client: pg.Client, prefix: string): Promise<void> {
  const claimed = await client.query('INSERT INTO log.prefix (prefix) VALUES ($1) ON CONFLICT DO NOTHING', [prefix]);
  if (claimed.rowCount === 1) {
    if (prefix === '') return;
    for (const table of ['events', 'retention'])
      await client.query(`UPDATE log.${table} SET stream = $1 || stream`, [prefix]);
    return;
  }
  const { rows } = await client.query<{ prefix: string }>('SELECT prefix FROM log.prefix');
  const used = rows[0]!.prefix;
  if (used === prefix) return;
  throw new Rejected(
    'conflict',
    'log.other_prefix',
    `The streams of the log in this database begin with ${stringifyJson(used)}, not with ${stringifyJson(prefix)}: set MILLRACE_STREAM_PREFIX=${used}, or use another database.`,
  );
}
