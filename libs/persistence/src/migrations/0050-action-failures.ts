import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Requests of rules that failed beside those that were refused, so that a decision can say what became of them. */
export class ActionFailures implements MigrationInterface {
  readonly name = 'ActionFailures0000000000050';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('alter table views.action_refusals add column failed boolean not null default false');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('alter table views.action_refusals drop column failed');
  }
}
