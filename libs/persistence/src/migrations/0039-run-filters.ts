import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Runs are found by status, version, error, correlation and input, each by an index. Runs from before have no correlation and
 * no inputs here. Requests to retry many runs are rows.
 */
export class RunFilters implements MigrationInterface {
  readonly name = 'RunFilters0000000000039';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      alter table views.runs
        add column correlation_id uuid,
        -- Texts, numbers and booleans by name; null where a run has none, which costs no entry in the index.
        add column inputs jsonb;
      create index runs_by_status on views.runs (org_id, status, started_at desc, id desc);
      create index runs_by_version on views.runs (org_id, version, started_at desc, id desc);
      -- Most runs are started by events: a list of these reads the index by start.
      create index runs_by_trigger on views.runs (org_id, trigger, started_at desc, id desc) where trigger <> 'event';
      create index runs_by_error on views.runs (org_id, (error ->> 'code'), started_at desc, id desc)
        where error is not null;
      create index runs_by_correlation on views.runs (correlation_id);
      create index runs_by_input on views.runs using gin (inputs jsonb_path_ops) where inputs is not null;

      create table views.bulk_retries (
        id           text primary key,
        org_id       text not null,
        filter       json not null,
        count        integer not null,
        rate         integer not null,
        status       text not null,
        retried      integer not null,
        refused      integer not null,
        requested_by text not null,
        requested_at timestamptz not null,
        ended_at     timestamptz
      );
      create index bulk_retries_by_time on views.bulk_retries (org_id, requested_at desc, id desc);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      drop table views.bulk_retries;
      drop index views.runs_by_status, views.runs_by_version, views.runs_by_trigger, views.runs_by_error;
      alter table views.runs drop column correlation_id, drop column inputs;
    `);
  }
}
