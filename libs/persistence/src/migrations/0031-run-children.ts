import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Runs that steps of other runs asked for. */
export class RunChildren implements MigrationInterface {
  readonly name = 'RunChildren0000000000031';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table views.run_children (
        request_id uuid primary key,
        org_id     text not null,
        parent_id  text not null,
        path       text not null,
        child_id   text not null,
        workflow   text not null,
        is_bound   boolean not null,
        is_over    boolean not null,
        position   bigint not null
      ) with (fillfactor = 70);
      create index run_children_by_parent on views.run_children (parent_id);
      create index run_children_by_child on views.run_children (child_id);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table views.run_children');
  }
}
