import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Rules with their versions, what they decided, and the windows of their throttles. */
export class Rules implements MigrationInterface {
  readonly name = 'Rules0000000000003';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table views.rules (
        id           text primary key,
        org_id       text not null,
        name         text not null,
        version      integer not null,
        status       text not null check (status in ('enabled', 'disabled', 'archived')),
        definition   json not null,
        revision     bigint not null,
        created_at   timestamptz not null,
        updated_at   timestamptz not null
      );
      create index rules_by_org on views.rules (org_id, id);

      create table views.rule_versions (
        rule_id    text not null,
        version    integer not null,
        org_id     text not null,
        definition json not null,
        saved_by   text not null,
        saved_at   timestamptz not null,
        primary key (rule_id, version)
      );

      create table views.decisions (
        event_id     text not null,
        rule_id      text not null,
        org_id       text not null,
        position     bigint not null,
        ordinal      integer not null,
        event_type   text not null,
        rule_name    text not null,
        rule_version integer not null,
        outcome      text not null,
        failed       json,
        error        text,
        actions      json not null,
        at           timestamptz not null,
        primary key (event_id, rule_id)
      );
      create index decisions_by_rule on views.decisions (rule_id, position);

      -- The state of rules.decide itself: written in the transaction of its checkpoint.
      create table views.rule_throttles (
        rule_id    text not null,
        key        text not null,
        started_at bigint not null,
        used       integer not null,
        ends_at    bigint not null,
        primary key (rule_id, key)
      );
      create index rule_throttles_by_end on views.rule_throttles (ends_at);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table views.rule_throttles, views.decisions, views.rule_versions, views.rules');
  }
}
