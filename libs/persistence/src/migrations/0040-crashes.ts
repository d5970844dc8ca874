import type { MigrationInterface, QueryRunner } from 'typeorm';

/** How many processes in a row died with a row of work, and the runs that are blocked because of that. */
export class Crashes implements MigrationInterface {
  readonly name = 'Crashes0000000000040';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      alter table views.work add column crashes integer not null default 0;
      create index runs_blocked on views.runs (org_id, id) where status = 'blocked';
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop index views.runs_blocked; alter table views.work drop column crashes');
  }
}
