import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Replays: what the log says of them, how far each has come, and for which events it has a result. */
export class Replays implements MigrationInterface {
  readonly name = 'Replays0000000000079';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table views.replays (
        id           text primary key,
        org_id       text not null,
        request      json not null,
        up_to        bigint not null,
        status       text not null,
        requested_by text not null,
        requested_at timestamptz not null,
        started_at   timestamptz,
        ended_at     timestamptz,
        error        json
      );
      create index replays_by_org on views.replays (org_id, requested_at desc, id desc);

      -- Written by the worker alone, together with the results: a process that goes on begins here.
      create table views.replay_progress (
        replay_id text primary key,
        first     bigint not null,
        last      bigint not null,
        total     bigint not null,
        position  bigint,
        looked    bigint not null default 0,
        selected  bigint not null default 0,
        results   bigint not null default 0,
        -- Of a replay at a speed: the time of its first event, and when that was played; milliseconds.
        paced_from double precision,
        paced_at   double precision
      );

      -- Places alone: what a result says is read from the log, so that nothing is kept twice.
      create table views.replay_results (
        replay_id text not null,
        position  bigint not null,
        primary key (replay_id, position)
      );
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table views.replays, views.replay_progress, views.replay_results');
  }
}
