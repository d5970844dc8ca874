import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Messages and what became of them. */
export class Messages implements MigrationInterface {
  readonly name = 'Messages0000000000076';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table views.messages (
        id               text primary key,
        org_id           text not null,
        status           text not null,
        integration      text not null,
        integration_id   text,
        provider         text,
        channel          text,
        thread_id        text,
        text             text not null,
        requested_by     json not null,
        event_id         text,
        request_stream   text not null,
        request_revision bigint not null,
        attempts         integer not null,
        error            json,
        next_attempt_at  timestamptz,
        message_id       text,
        requested_at     timestamptz not null,
        finished_at      timestamptz
      );
      create index messages_by_time on views.messages (org_id, requested_at desc, id desc);
      create index messages_by_status on views.messages (org_id, status, requested_at desc, id desc);
      create index messages_by_event on views.messages (event_id) where event_id is not null;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table views.messages');
  }
}
