import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Integrations as REST lists them, and the counts of their requests. */
export class Intake implements MigrationInterface {
  readonly name = 'Intake0000000000002';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table views.integrations (
        id         text primary key,
        org_id     text not null,
        state      jsonb not null,
        -- Of the newest event in it: one that is older is passed over.
        revision   bigint not null,
        created_at timestamptz not null,
        updated_at timestamptz not null
      );
      create index integrations_by_organisation on views.integrations (org_id, id);

      -- Written once a second by every process that receives.
      create table views.integration_counters (
        integration_id text not null,
        counter        text not null,
        count          bigint not null,
        last_at        timestamptz not null,
        primary key (integration_id, counter)
      ) with (fillfactor = 70);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table views.integrations, views.integration_counters;');
  }
}
