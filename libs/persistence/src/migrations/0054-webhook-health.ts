import type { MigrationInterface, QueryRunner } from 'typeorm';

/** When a webhook last succeeded, and how it last failed. */
export class WebhookHealth implements MigrationInterface {
  readonly name = 'WebhookHealth0000000000054';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      alter table views.webhook_health
        add column last_success_at timestamptz,
        add column last_failure_at timestamptz,
        add column last_failure text
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      alter table views.webhook_health drop column last_success_at, drop column last_failure_at, drop column last_failure
    `);
  }
}
