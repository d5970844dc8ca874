import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What `throttle`, `debounce` and `batch` of triggers count. Times are milliseconds since 1970. */
export class TriggerFlow implements MigrationInterface {
  readonly name = 'TriggerFlow0000000000038';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table views.trigger_windows (
        trigger_id text not null,
        key        text not null,
        started_at bigint not null,
        used       integer not null,
        ends_at    bigint not null,
        primary key (trigger_id, key)
      ) with (fillfactor = 70);
      create index trigger_windows_by_end on views.trigger_windows (ends_at);

      -- Of an event of a batch that started.
      alter table views.trigger_decisions add column run_id text;

      -- Events that wait for the end of a burst or batch.
      create table views.trigger_groups (
        trigger_id text not null,
        key        text not null,
        started_at bigint not null,
        due_at     bigint not null,
        events     json not null,
        primary key (trigger_id, key)
      ) with (fillfactor = 70);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(
      'drop table views.trigger_windows, views.trigger_groups; alter table views.trigger_decisions drop column run_id',
    );
  }
}
