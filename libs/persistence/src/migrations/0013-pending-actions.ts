import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What was asked for and nobody has begun. */
export class PendingActions implements MigrationInterface {
  readonly name = 'PendingActions0000000000013';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table views.pending_actions (
        id           text primary key,
        org_id       text not null,
        type         text not null,
        requested_by jsonb not null,
        event_id     text not null,
        details      jsonb not null,
        requested_at timestamptz not null
      );
      create index pending_actions_newest on views.pending_actions (org_id, requested_at desc, id desc);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table views.pending_actions;');
  }
}
