import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Executions that run: rows are folded again from the log, with whose turn it is, and what they wait for. */
export class Executions implements MigrationInterface {
  readonly name = 'Executions0000000000042';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      drop table views.agent_executions;

      create table views.agent_executions (
        id               text primary key,
        org_id           text not null,
        agent            text not null,
        agent_id         text,
        trigger          text not null,
        status           text not null,
        -- none, queued or admitted: at most max_concurrent of an agent are admitted.
        turn             text not null,
        event_id         text not null,
        requested_by     text,
        request_stream   text not null,
        request_revision bigint not null,
        position         bigint not null,
        deadline         timestamptz,
        usage            json,
        created_at       timestamptz not null,
        started_at       timestamptz,
        finished_at      timestamptz
      );
      create index agent_executions_by_agent on views.agent_executions (agent_id, created_at desc, id desc);
      create index agent_executions_without_agent on views.agent_executions (org_id, agent) where agent_id is null;
      create index agent_executions_turns on views.agent_executions (agent_id, turn, position) where turn <> 'none';

      create table views.agent_places (
        agent_id       text primary key,
        org_id         text not null,
        name           text not null,
        removed        boolean not null,
        max_concurrent integer not null
      );
      create index agent_places_by_name on views.agent_places (org_id, name) where not removed;

      -- What an execution waits for, and for which run it works.
      create table views.agent_links (
        id           uuid primary key,
        org_id       text not null,
        execution_id text not null,
        parent_run   text,
        request_stream   text not null,
        request_revision bigint not null,
        position     bigint not null
      );
      create index agent_links_by_execution on views.agent_links (execution_id);
      create index agent_links_by_run on views.agent_links (parent_run) where parent_run is not null;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      drop table views.agent_executions, views.agent_places, views.agent_links;
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
}
