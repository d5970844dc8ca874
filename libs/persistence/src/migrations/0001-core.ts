import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Checkpoints and parked events of the runner, claimed work, and what access keeps: secrets and answers to repeat. */
export class Core implements MigrationInterface {
  readonly name = 'Core0000000000001';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table views.checkpoints (
        name       text primary key,
        position   bigint not null,
        updated_at timestamptz not null default clock_timestamp()
      ) with (fillfactor = 50);

      create table views.parked_events (
        subscriber text not null,
        position   bigint not null,
        event_id   uuid not null,
        type       text not null,
        reason     text not null,
        tries      integer not null,
        parked_at  timestamptz not null default clock_timestamp(),
        retry_at   timestamptz,
        primary key (subscriber, position)
      );

      create table views.processes (
        id         uuid primary key,
        host       text not null,
        pid        integer not null,
        started_at timestamptz not null default clock_timestamp(),
        seen_at    timestamptz not null default clock_timestamp()
      ) with (fillfactor = 50);

      create sequence views.work_claims;

      -- State: sleeping (due later), ready, claimed, resting (done; until the projection of the outcome was here), parked.
      create table views.work (
        queue          text not null,
        key            text not null,
        grp            text collate "C" not null default '',
        state          text not null check (state in ('sleeping', 'ready', 'claimed', 'resting', 'parked')),
        due_at         timestamptz not null,
        position       bigint not null,
        await_position bigint not null default 0,
        claim          bigint,
        claimed_by     uuid,
        claims         integer not null default 0,
        tries          integer not null default 0,
        failures       integer not null default 0,
        reason         text,
        payload        jsonb not null,
        primary key (queue, key)
      ) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000,
              autovacuum_vacuum_insert_scale_factor = 0.2, autovacuum_analyze_scale_factor = 0.2);

      -- Ready rows by group, so that the next group is one step away however many rows the one before it has.
      create index work_ready on views.work (queue, grp, due_at, key) where state = 'ready';
      create index work_sleeping on views.work (queue, due_at) where state = 'sleeping';
      create index work_claimed on views.work (claimed_by) where state = 'claimed';
      create index work_parked on views.work (queue, key) where state = 'parked';

      create table views.secrets (
        reference  text primary key,
        org_id     text not null,
        key_id     text not null,
        sealed     bytea not null,
        created_at timestamptz not null default clock_timestamp()
      );

      create table views.idempotency (
        org_id        text not null,
        key           text not null,
        token_id      text not null,
        fingerprint   text not null,
        claimed_until timestamptz not null,
        expires_at    timestamptz not null,
        key_id        text,
        answer        bytea,
        primary key (org_id, key)
      );
      create index idempotency_expiry on views.idempotency (expires_at);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      drop table views.checkpoints, views.parked_events, views.processes, views.work, views.secrets, views.idempotency;
      drop sequence views.work_claims;
    `);
  }
}
