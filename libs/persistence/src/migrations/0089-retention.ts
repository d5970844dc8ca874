import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Which events retention has removed from the log. */
export class RetentionMarks implements MigrationInterface {
  readonly name = 'RetentionMarks0000000000089';

  async up(runner: QueryRunner): Promise<void> {
    // Without a default and without an index: it costs nothing for the events that come.
    await runner.query('alter table views.events add column truncated boolean');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('alter table views.events drop column truncated');
  }
}
