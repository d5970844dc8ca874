import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Runs as their streams tell them up to a revision. A cache, written by the process that took a long run further. */
export class RunSnapshots implements MigrationInterface {
  readonly name = 'RunSnapshots0000000000066';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table views.run_snapshots (
        run_id   text primary key,
        revision bigint not null,
        event_id uuid not null,
        arrival  bigint not null,
        -- JSON, as text: outputs may hold characters that jsonb refuses.
        state    text not null
      );
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table views.run_snapshots');
  }
}
