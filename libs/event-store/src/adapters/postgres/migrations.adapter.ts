import type pg from 'pg';

import { MIGRATION_LOCK, MIGRATIONS } from './schema.js';

/** Brings the log's schema to the newest version, under a lock: processes that start together do it once. */
export async function migrate(client: pg.Client, migrations: readonly string[] = MIGRATIONS): Promise<void> {
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
      throw new Error(
        `The log in this database has version ${version}; this program knows ${migrations.length}. Start a newer version of it.`,
      );
    for (const [index, migration] of migrations.entries()) {
      if (index < version) continue;
      await client.query(migration);
      await client.query('INSERT INTO log.migrations (version) VALUES ($1)', [index + 1]);
    }
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}
