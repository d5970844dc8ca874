import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Bursts of matches whose end a rule waits for: state of rules.decide, written in the transaction of its checkpoint. */
export class Bursts implements MigrationInterface {
  readonly name = 'Bursts0000000000015';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table views.rule_bursts (
        rule_id      text not null,
        key          text not null,
        org_id       text not null,
        rule_name    text not null,
        rule_version integer not null,
        event_id     text not null,
        position     bigint not null,
        -- Milliseconds since 1970.
        started_at   bigint not null,
        due_at       bigint not null,
        primary key (rule_id, key)
      );
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table views.rule_bursts');
  }
}
