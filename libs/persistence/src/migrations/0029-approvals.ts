import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What waits for approval, for lists. */
export class Approvals implements MigrationInterface {
  readonly name = 'Approvals0000000000029';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table views.approvals (
        request_id   uuid primary key,
        org_id       text not null,
        run_id       text not null,
        path         text not null,
        workflow     text not null,
        title        text not null,
        description  text,
        form         json not null,
        approvers    json not null,
        count        integer not null,
        until        timestamptz,
        requested_at timestamptz not null,
        status       text not null
      );
      create index approvals_by_status on views.approvals (org_id, status, requested_at desc, request_id desc);
      create index approvals_by_run on views.approvals (run_id);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table views.approvals');
  }
}
