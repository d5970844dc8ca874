import type { MigrationInterface, QueryRunner } from 'typeorm';

/** How far back a sender is asked, because something is missing. */
export class OpenSince implements MigrationInterface {
  readonly name = 'OpenSince0000000000016';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- When the oldest delivery was made that is missing and may yet come.
      alter table views.integration_reconciliations add column open_since timestamptz;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('alter table views.integration_reconciliations drop column open_since;');
  }
}
