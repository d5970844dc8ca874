import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The rules of an organisation that are not archived are counted at each creation: by an index that holds no others. */
export class RuleCount implements MigrationInterface {
  readonly name = 'RuleCount0000000000018';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`create index rules_in_use on views.rules (org_id) where status <> 'archived'`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop index views.rules_in_use');
  }
}
