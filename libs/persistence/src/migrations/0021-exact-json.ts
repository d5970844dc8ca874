import type { MigrationInterface, QueryRunner } from 'typeorm';

const COLUMNS = [
  ['integrations', 'state'],
  ['agents', 'settings'],
  ['pending_actions', 'requested_by'],
  ['pending_actions', 'details'],
  ['work', 'payload'],
] as const;

/** What people write is kept as the text that it is: `jsonb` refuses large numbers and writes others in another way. */
export class ExactJson implements MigrationInterface {
  readonly name = 'ExactJson0000000000021';

  async up(runner: QueryRunner): Promise<void> {
    for (const [table, column] of COLUMNS) await runner.query(`alter table views.${table} alter ${column} type json`);
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const [table, column] of COLUMNS)
      await runner.query(`alter table views.${table} alter ${column} type jsonb using ${column}::jsonb`);
  }
}
