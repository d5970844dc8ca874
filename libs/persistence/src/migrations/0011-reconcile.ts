import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What became of asking senders for what they have delivered. */
export class Reconcile implements MigrationInterface {
  readonly name = 'Reconcile0000000000011';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table views.integration_reconciliations (
        integration_id text primary key,
        runs           integer not null,
        -- When the last one began that got to the end.
        complete_at    timestamptz,
        last           jsonb not null
      );
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table views.integration_reconciliations;');
  }
}
