import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Attempts of webhooks with a rate limit: those that wait, and those that take a place of the rate. */
export class PacedAttempts implements MigrationInterface {
  readonly name = 'PacedAttempts0000000000053';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table views.paced_attempts (
        delivery_id text not null,
        attempt     integer not null,
        webhook_id  text not null,
        due_at      timestamptz not null,
        position    bigint not null,
        payload     json not null,
        released    boolean not null default false,
        -- When the outcome of a released attempt was recorded.
        settled_at  timestamptz,
        primary key (delivery_id, attempt)
      ) with (fillfactor = 80);
      create index paced_waiting on views.paced_attempts (webhook_id, due_at, position, delivery_id) where not released;
      create index paced_released on views.paced_attempts (webhook_id) where released;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table views.paced_attempts');
  }
}
