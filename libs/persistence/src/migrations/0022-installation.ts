import type { MigrationInterface, QueryRunner } from 'typeorm';

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
