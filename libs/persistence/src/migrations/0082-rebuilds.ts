import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Rebuilds of projections and how far they are, and with which version of its code each projection was made. */
export class Rebuilds implements MigrationInterface {
  readonly name = 'Rebuilds0000000000082';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table views.projection_rebuilds (
        id           text primary key,
        projection   text not null,
        mode         text not null,
        status       text not null,
        requested_by text not null,
        requested_at timestamptz not null,
        ended_at     timestamptz,
        -- Up to here the tables beside the live ones are filled; null until they exist.
        position     bigint,
        target       bigint,
        events       bigint not null default 0,
        -- The tables have taken the place of the live ones.
        swapped      boolean not null default false,
        result       json
      ) with (fillfactor = 50);
      create index projection_rebuilds_by_time on views.projection_rebuilds (requested_at, id);
      create table views.fold_versions (
        projection text primary key,
        version    integer not null
      );
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table views.projection_rebuilds; drop table views.fold_versions');
  }
}
