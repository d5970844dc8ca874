import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The hashes of the trees over the log, in tiles of 256, and how far each tree is sealed. */
export class LogTrees implements MigrationInterface {
  readonly name = 'LogTrees0000000000065';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table views.log_trees (
        tree        text primary key,
        size        bigint not null,
        to_seal     bigint not null,
        sealed_size bigint not null,
        seal_at     timestamptz,
        position    bigint not null
      );
      create table views.log_tiles (
        tree           text not null,
        level          smallint not null,
        tile           bigint not null,
        hashes         bytea storage external not null,
        positions      bytea storage external not null,
        first_position bigint not null,
        primary key (tree, level, tile)
      );
      create index log_tiles_position on views.log_tiles (tree, first_position) where level = 0;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table views.log_tiles; drop table views.log_trees');
  }
}
