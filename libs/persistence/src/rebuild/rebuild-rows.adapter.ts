import type { DataSource } from 'typeorm';

import type { Projection, ViewTransaction } from '#libs/event-store/src/subscriber.js';
import type { DataOf } from '#libs/events/src/catalogue.js';

import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import { jsonColumn } from '../rows.adapter.js';
import { schemaOf } from './rebuild.adapter.js';

interface Requested extends DataOf<'projection.rebuild_requested'> {
  readonly requestedBy: string;
  readonly requestedAt: string;
}

/** A row for a rebuild. Requested again has no effect. */
export function noteRequest(tx: ViewTransaction, request: Requested): void {
  const { rebuildId, projection, mode, requestedBy, requestedAt } = request;
  tx.write(
    `insert into views.projection_rebuilds (id, projection, mode, status, requested_by, requested_at)
     values ($1, $2, $3, 'running', $4, $5) on conflict (id) do nothing`,
    [rebuildId, projection, mode, requestedBy, requestedAt],
  );
}

/** How a rebuild has ended. Its tables go, before the row changes: a rebuild that goes on writes its tables first, too. */
export function noteEnd(tx: ViewTransaction, result: DataOf<'projection.rebuild_ended'>, endedAt: string): void {
  const { rebuildId, outcome } = result;
  tx.write(`drop schema if exists ${schemaOf(rebuildId)} cascade`, []);
  tx.write('update views.projection_rebuilds set status = $2, ended_at = $3, result = $4 where id = $1', [
    rebuildId,
    outcome,
    endedAt,
    jsonColumn(result),
  ]);
}

/** Where a projection is. */
export interface ProjectionState {
  readonly name: string;
  /** Null before its first checkpoint. */
  readonly position: string | null;
  readonly since: Date | null;
  /** Version of the code that made its rows. */
  readonly version: number | null;
  /** Estimated by the database. */
  readonly rows: string | null;
  /** Id of the rebuild under way. */
  readonly rebuild: string | null;
}

export const statesOf = (
  database: Pick<DataSource, 'query'>,
  projections: readonly Projection[],
): Promise<readonly ProjectionState[]> =>
  database.query<ProjectionState[]>(
    `select p.name, c.position, c.updated_at as since, f.version,
            (select sum(n_live_tup) from pg_stat_user_tables
              where schemaname = 'views' and relname in (select json_array_elements_text(p.tables))) as rows,
            (select id from views.projection_rebuilds where projection = p.name and status = 'running' limit 1) as rebuild
       from json_to_recordset($1::json) as p (name text, tables json)
       left join views.checkpoints c using (name)
       left join views.fold_versions f on f.projection = p.name`,
    [stringifyJson(projections.map(({ name, keeps }) => ({ name, tables: keeps.tables })))],
  );

/**
 * Projections whose rows an earlier version of the code made. Rows that were there before versions were kept are of the first;
 * where there are none yet, this one makes them.
 */
export const outdatedIn = (
  database: Pick<DataSource, 'query'>,
  projections: readonly Projection[],
): Promise<readonly { readonly name: string; readonly made: number; readonly version: number }[]> =>
  database.query(
    `with given as (select * from json_to_recordset($1::json) as g (name text, version integer)),
          first as (
            insert into views.fold_versions (projection, version)
            select name, case when exists (select from views.checkpoints c where c.name = given.name) then 1 else version end
              from given
            on conflict do nothing returning projection, version)
     select given.name, coalesce(known.version, first.version) as made, given.version
       from given
       left join views.fold_versions known on known.projection = given.name
       left join first on first.projection = given.name
      where coalesce(known.version, first.version) < given.version`,
    [stringifyJson(projections.map(({ name, keeps }) => ({ name, version: keeps.foldVersion })))],
  );
