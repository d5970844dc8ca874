import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Workflows with their versions, runs, and the requests whose outcome runs wait for. */
export class Workflows implements MigrationInterface {
  readonly name = 'Workflows0000000000004';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table views.workflows (
        id         text primary key,
        org_id     text not null,
        name       text not null,
        status     text not null check (status in ('active', 'archived')),
        version    text not null,
        origin     text not null,
        file       text,
        created_at timestamptz not null,
        updated_at timestamptz not null
      );
      create unique index workflows_by_name on views.workflows (org_id, name);

      create table views.workflow_versions (
        workflow_id text not null,
        version     text not null,
        number      integer not null,
        source      text not null,
        origin      text not null,
        file        text,
        saved_by    text not null,
        saved_at    timestamptz not null,
        primary key (workflow_id, version)
      );

      create table views.runs (
        id          text primary key,
        org_id      text not null,
        workflow_id text not null,
        workflow    text not null,
        version     text not null,
        status      text not null,
        trigger     text not null,
        event_id    text,
        event_type  text,
        error       json,
        until       timestamptz,
        started_at  timestamptz not null,
        ended_at    timestamptz
      ) with (fillfactor = 70);
      create index runs_by_start on views.runs (org_id, started_at desc, id desc);
      create index runs_by_workflow on views.runs (org_id, workflow, started_at desc, id desc);
      create index runs_by_event on views.runs (event_id) where event_id is not null;

      -- What runs wait for: written by the request, completed by the outcome that names it as its cause.
      create table views.run_requests (
        request_id       uuid primary key,
        run_id           text not null,
        outcome_stream   text,
        outcome_revision bigint
      ) with (fillfactor = 70);
      create index run_requests_by_run on views.run_requests (run_id);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table views.run_requests, views.runs, views.workflow_versions, views.workflows');
  }
}
