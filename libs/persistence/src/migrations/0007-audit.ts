import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The index of the log: where each event is, and what it is found by. Its data stays in the log. */
export class Audit implements MigrationInterface {
  readonly name = 'Audit0000000000007';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table views.events (
        position    bigint primary key,
        id          uuid not null,
        type        text not null,
        source      text not null,
        subject     text not null,
        org_id      text not null,
        timestamp   timestamptz not null,
        correlation uuid not null,
        causation   uuid,
        stream      text not null,
        revision    bigint not null
      ) with (autovacuum_vacuum_insert_scale_factor = 0.2);
      create index events_id on views.events (id);
      create index events_correlation on views.events (correlation, position);
      create index events_type on views.events (type, position);
      -- Times rise with positions but for what came late: a summary of each block is enough, and costs an insert nothing.
      create index events_timestamp on views.events using brin (timestamp) with (pages_per_range = 32);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table views.events');
  }
}
