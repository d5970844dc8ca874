import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What rules and workflows would decide is compared with what they decided. */
export class ReplayDifferences implements MigrationInterface {
  readonly name = 'ReplayDifferences0000000000080';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      alter table views.replay_progress add column differences bigint not null default 0;
      alter table views.replay_results add column differs boolean not null default false;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      alter table views.replay_progress drop column differences;
      alter table views.replay_results drop column differs;
    `);
  }
}
