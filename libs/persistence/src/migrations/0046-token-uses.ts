import type { MigrationInterface, QueryRunner } from 'typeorm';

/** When each API token was last used. */
export class TokenUses implements MigrationInterface {
  readonly name = 'TokenUses0000000000046';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table views.token_uses (
        token_id     text primary key,
        last_used_at timestamptz not null
      );
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table views.token_uses');
  }
}
