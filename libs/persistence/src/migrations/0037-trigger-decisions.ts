import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What triggers of workflows made of events, and which trigger started a run. */
export class TriggerDecisions implements MigrationInterface {
  readonly name = 'TriggerDecisions0000000000037';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table views.trigger_decisions (
        event_id    text not null,
        workflow_id text not null,
        trigger     smallint not null,
        org_id      text not null,
        event_type  text not null,
        workflow    text not null,
        version     text not null,
        outcome     text not null,
        reason      text,
        detail      text,
        error       text,
        failed      json,
        at          timestamptz not null,
        primary key (event_id, workflow_id, trigger)
      );
      create index trigger_decisions_by_workflow on views.trigger_decisions (workflow_id, at desc, event_id desc);

      -- Place of the trigger in the text; null for runs that a person or program asked for.
      alter table views.runs add column trigger_index smallint;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table views.trigger_decisions; alter table views.runs drop column trigger_index');
  }
}
