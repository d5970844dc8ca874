import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Events by the values that waits compare, so that a wait that begins finds what came before without reading all of it. */
export class WaitKeys implements MigrationInterface {
  readonly name = 'WaitKeys0000000000070';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table views.wait_shapes (
        id      integer generated always as identity primary key,
        org_id  text not null,
        pattern text not null,
        paths   text not null,
        -- Events after this position have keys; null while none have.
        since   bigint,
        unique (org_id, pattern, paths)
      );
      create table views.wait_keys (
        shape    integer not null,
        key      uuid not null,
        position bigint not null,
        stream   text not null,
        revision bigint not null,
        primary key (shape, key, position)
      );
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table views.wait_keys; drop table views.wait_shapes');
  }
}
