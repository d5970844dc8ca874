import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Runs that share a limit: those that have their turn and those that wait for it. Written by workflows.runs. */
export class RunTurns implements MigrationInterface {
  readonly name = 'RunTurns0000000000028';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table views.run_turns (
        run_id   text primary key,
        key      text not null,
        -- Position of the start: the order of the queue.
        place    bigint not null,
        state    text not null check (state in ('queued', 'begun', 'cancelling')),
        run_limit integer not null
      );
    `);
    await runner.query('create index run_turns_key on views.run_turns (key)');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table views.run_turns');
  }
}
