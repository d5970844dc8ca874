import type { DataSource } from 'typeorm';

/** What does not follow from the log. */
const OWN = [
  'refused_requests',
  'migrations',
  'installation',
  'secrets',
  'subject_keys',
  'idempotency',
  'token_uses',
  'processes',
];

/**
 * Empties everything that was read out of the log, with the positions up to which it was read: the next server reads the log
 * from its beginning. For a database whose servers get another log. No server may run.
 */
export async function forgetLog(database: DataSource): Promise<void> {
  const tables = await database.query<{ name: string }[]>(
    `select format('%I.%I', schemaname, tablename) as name from pg_tables
      where schemaname = 'views' and tablename <> all($1::text[]) order by 1`,
    [OWN],
  );
  await database.query(`truncate ${tables.map(({ name }) => name).join(', ')}`);
}
