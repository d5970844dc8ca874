import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What runs wait for among the events that may come: filled into memory when a process becomes the one that answers. */
export class RunWaits implements MigrationInterface {
  readonly name = 'RunWaits0000000000026';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table views.run_waits (
        request_id uuid primary key,
        org_id     text not null,
        position   bigint not null,
        wait       json not null
      )
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table views.run_waits');
  }
}
