import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Decisions kept together: a row for each event with the rules that did not match, by sets. The rows that there are, one for
 * each rule and event, stay: such rows are now for rules that matched, were held back or could not be asked.
 */
export class Decisions implements MigrationInterface {
  readonly name = 'Decisions0000000000010';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- Rules that are asked together, as they were at one time.
      create table views.rule_sets (
        id     integer generated always as identity primary key,
        name   text not null unique,
        org_id text not null,
        rules  json not null
      );
      create table views.rule_set_members (
        rule_id text not null,
        set_id  integer not null,
        primary key (rule_id, set_id)
      );

      -- All sets that look at a type of event: the events of one roll have one list of rules.
      create table views.rule_rolls (
        id         integer generated always as identity primary key,
        -- Follows from the type and the names of the sets.
        key        text not null unique,
        org_id     text not null,
        event_type text not null,
        sets       integer[] not null
      );
      create table views.rule_roll_sets (
        set_id  integer not null,
        roll_id integer not null,
        primary key (set_id, roll_id)
      );

      create table views.event_verdicts (
        event_id uuid not null,
        position bigint not null,
        part     smallint not null,
        roll_id  integer not null,
        at       timestamptz not null,
        -- Rules that have a row in views.decisions.
        decided  text[],
        failed   json not null,
        primary key (event_id, position, part)
      );
      create index event_verdicts_by_roll on views.event_verdicts (roll_id, at, position, part);

      create index decisions_by_outcome on views.decisions (rule_id, outcome, at, position, ordinal);
      create index decisions_by_time on views.decisions (rule_id, at, position, ordinal);
      drop index views.decisions_by_rule;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create index decisions_by_rule on views.decisions (rule_id, position);
      drop index views.decisions_by_outcome, views.decisions_by_time;
      drop table views.event_verdicts, views.rule_roll_sets, views.rule_rolls, views.rule_set_members, views.rule_sets;
    `);
  }
}
