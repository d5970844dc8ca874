import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Requests of rules that another stage refused, so that a decision can say what became of them. */
export class ActionRefusals implements MigrationInterface {
  readonly name = 'ActionRefusals0000000000020';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      'create table views.action_refusals (request_id text primary key, reason text not null, detail text not null)',
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table views.action_refusals');
  }
}
