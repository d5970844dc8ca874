import type { MigrationInterface, QueryRunner } from 'typeorm';

/** When an execution may start: of each agent at most `rate_limit` a minute do. */
export class AgentRates implements MigrationInterface {
  readonly name = 'AgentRates0000000000056';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      alter table views.agent_executions add column first_due timestamptz;
      create index agent_executions_starts on views.agent_executions (agent_id, first_due) where first_due is not null;
      alter table views.agent_places add column rate_limit integer not null default 100;
      update views.agent_places p set rate_limit = (a.settings ->> 'rateLimit')::integer
        from views.agents a where a.id = p.agent_id;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      alter table views.agent_executions drop column first_due;
      alter table views.agent_places drop column rate_limit;
    `);
  }
}
