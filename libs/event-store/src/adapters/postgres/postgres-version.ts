import { Rejected } from '#libs/kernel/src/errors.js';

const OLDEST = 16;

/** @throws Rejected `database.too_old` before a statement meets a syntax that PostgreSQL does not know yet. */
export async function refuseOldPostgres(client: {
  query(sql: string): Promise<{ rows: { server_version: string }[] }>;
}): Promise<void> {
  const { rows } = await client.query('show server_version');
  const version = rows[0]!.server_version;
  if (Number.parseInt(version, 10) >= OLDEST) return;
  throw new Rejected(
    'conflict',
    'database.too_old',
    `DATABASE_URL: this is PostgreSQL ${version}; Millrace needs PostgreSQL ${OLDEST} or newer. Upgrade it, or leave DATABASE_URL out to use the embedded PostgreSQL.`,
  );
}
