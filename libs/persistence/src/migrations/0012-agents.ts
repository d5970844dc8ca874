import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Agents and what they were asked to do. */
export class Agents implements MigrationInterface {
  readonly name = 'Agents0000000000012';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table views.agents (
        id         text primary key,
        org_id     text not null,
        name       text not null,
        settings   jsonb not null,
        has_secret boolean not null,
        removed    boolean not null,
        created_at timestamptz not null,
        updated_at timestamptz not null
      );
      create index agents_by_name on views.agents (org_id, name);

      create table views.agent_executions (
        id           text primary key,
        org_id       text not null,
        agent        text not null,
        agent_id     text,
        trigger      text not null,
        status       text not null,
        event_id     text not null,
        requested_by text,
        created_at   timestamptz not null,
        finished_at  timestamptz
      );
      create index agent_executions_by_agent on views.agent_executions (agent_id, created_at desc, id desc);
      create index agent_executions_without_agent on views.agent_executions (org_id, agent) where agent_id is null;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table views.agents, views.agent_executions;');
  }
}
