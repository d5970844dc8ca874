import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Indexes for what lists can be filtered and sorted by, so that no page costs more as the tables grow. */
export class ListIndexes implements MigrationInterface {
  readonly name = 'ListIndexes0000000000034';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create index events_source on views.events (source, position);
      create index events_subject on views.events (subject, position);
      create index deliveries_by_type on views.deliveries (org_id, event_type, position desc, id desc);
      create index deliveries_by_status on views.deliveries (org_id, status, position desc, id desc)
        where status <> 'success';
      create index issues_newest on views.issues (org_id, created_at desc, id desc);
      create index issues_by_status on views.issues (org_id, status, created_at desc, id desc);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      drop index views.events_source, views.events_subject, views.deliveries_by_type, views.deliveries_by_status,
        views.issues_newest, views.issues_by_status;
    `);
  }
}
