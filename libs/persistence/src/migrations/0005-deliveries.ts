import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Outbound webhooks as they are configured, how they do, and their deliveries. Attempts are read from the log. */
export class Deliveries implements MigrationInterface {
  readonly name = 'Deliveries0000000000005';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table views.webhooks (
        id               text primary key,
        org_id           text not null,
        url              text not null,
        events           jsonb not null,
        format           text not null,
        filter           text,
        header_names     jsonb not null,
        signature_header text,
        timeout_ms       integer not null,
        status           text not null check (status in ('active', 'disabled')),
        disabled_reason  text,
        disabled_detail  text,
        -- Every reference this webhook ever had, so that its secrets go when it does.
        secrets          jsonb not null,
        grace_until      timestamptz,
        created_at       timestamptz not null,
        updated_at       timestamptz not null
      );
      create index webhooks_by_org on views.webhooks (org_id, id);

      create table views.webhook_health (
        webhook_id           text primary key,
        send_count           bigint not null,
        failure_count        bigint not null,
        last_sent_at         timestamptz,
        consecutive_failures integer not null,
        failing_since        timestamptz
      ) with (fillfactor = 50);

      create table views.deliveries (
        id              text primary key,
        root_id         text not null,
        org_id          text not null,
        webhook_id      text,
        url             text,
        kind            text not null,
        event_id        text not null,
        event_type      text not null,
        event_stream    text not null,
        event_revision  bigint not null,
        own_payload     boolean not null,
        status          text not null check (status in ('pending', 'success', 'failed')),
        attempts        integer not null,
        response_code   integer,
        latency_ms      integer,
        failure_class   text,
        retry_after     integer,
        last_attempt_at timestamptz,
        next_attempt_at timestamptz,
        redelivery_of   text,
        created_at      timestamptz not null,
        finished_at     timestamptz,
        position        bigint not null
      ) with (fillfactor = 80);
      create index deliveries_by_webhook on views.deliveries (webhook_id, position desc, id desc);
      create index deliveries_by_org on views.deliveries (org_id, position desc, id desc);
      create index deliveries_by_event on views.deliveries (event_id);
      create index deliveries_unfinished on views.deliveries (webhook_id, status, position desc, id desc)
        where status <> 'success';
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table views.webhooks, views.webhook_health, views.deliveries');
  }
}
