import type { DataSource, MigrationInterface, QueryRunner } from 'typeorm';

/** One row: the fingerprint of the key under which secrets are stored, and the program that made the views as they are. */
export class Installation implements MigrationInterface {
  readonly name = 'Installation0000000000022';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`create table views.installation (
      one boolean primary key default true check (one),
      key_id text,
      version text
    )`);
    await runner.query('insert into views.installation default values');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table views.installation');
  }
}

/** The version of Millrace that changed the views last; undefined for views from before this table. */
export async function versionOfViews(database: DataSource): Promise<string | undefined> {
  const rows = await database
    .query<{ version: string | null }[]>('select version from views.installation')
    .catch(() => []);
  return rows[0]?.version ?? undefined;
}

export async function recordVersion(database: DataSource, version: string): Promise<void> {
  await database.query('update views.installation set version = $1', [version]);
}
