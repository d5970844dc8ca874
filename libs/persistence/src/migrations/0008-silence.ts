import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Integrations that say how often they expect something, and when they were last heard of. */
export class Silence implements MigrationInterface {
  readonly name = 'Silence0000000000008';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table views.integration_watch (
        integration_id text primary key,
        -- Since when it has been watched as it is now.
        since          timestamptz not null,
        heard_at       timestamptz,
        -- Set while it is silent.
        silent_at      timestamptz,
        -- Events in the stream of its silences.
        episodes       integer not null default 0,
        -- Of the event that changed this row last.
        position       bigint not null
      ) with (fillfactor = 70);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table views.integration_watch;');
  }
}
