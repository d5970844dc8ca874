import type { DataSource } from 'typeorm';

import type { CountedRange } from '#libs/event-index/src/scan/log-range.js';
import type { ReplayCounts } from '#libs/events/src/shapes/audit/replay-shape.js';

import type { Pace } from './pace.js';

/** How far a replay is. */
export interface SavedProgress extends ReplayCounts {
  /** Where the range begins and ends, and about how many events it has. */
  readonly first: bigint;
  readonly last: bigint;
  readonly total: number;
  /** Everything up to here is done; absent at the beginning. */
  readonly position?: bigint;
  readonly pace?: Pace;
}

/** An event that has a result. */
export interface Found {
  readonly position: bigint;
  /** Whether something else is decided about it. */
  readonly differs?: boolean;
}

/** What was done since the last save. */
export interface Step extends ReplayCounts {
  readonly position: bigint;
  readonly found: readonly Found[];
  readonly pace?: Pace;
}

type Row = Readonly<Record<'first' | 'last' | 'total' | 'looked' | 'selected' | 'results' | 'differences', string>> & {
  readonly replay_id: string;
  readonly position: string | null;
  readonly paced_from: number | null;
  readonly paced_at: number | null;
};

/** How far replays are, and their results: what the worker writes, and nobody else. */
export class ReplayRows {
  constructor(private readonly database: DataSource) {}

  async load(ids: readonly string[]): Promise<ReadonlyMap<string, SavedProgress>> {
    if (ids.length === 0) return new Map();
    const rows = await this.database.query<Row[]>(`select * from views.replay_progress where replay_id = any($1)`, [
      ids,
    ]);
    return new Map(rows.map((row) => [row.replay_id, progressOf(row)]));
  }

  /** Keeps the range that a replay begins with; one that another process kept stays. */
  async begin(id: string, { from = 0n, upTo, total }: CountedRange): Promise<SavedProgress> {
    await this.database.query(
      `insert into views.replay_progress (replay_id, first, last, total) values ($1, $2, $3, $4) on conflict do nothing`,
      [id, String(from), String(upTo), total],
    );
    return (await this.load([id])).get(id)!;
  }

  /**
   * Saves a step with its results, in one statement: a replay that goes on elsewhere begins after it.
   * @returns false where another process has come further: then nothing was saved.
   */
  async save(id: string, before: SavedProgress, step: Step): Promise<boolean> {
    const [{ saved }] = await this.database.query<[{ saved: number }]>(
      `with saved as (
         update views.replay_progress
            set position = $3, looked = looked + $4, selected = selected + $5, results = results + $6,
                differences = differences + $11,
                paced_from = coalesce($7, paced_from), paced_at = coalesce($8, paced_at)
          where replay_id = $1 and position is not distinct from $2::bigint returning 1
       ), kept as (
         insert into views.replay_results (replay_id, position, differs)
         select $1, found.position, found.differs from unnest($9::bigint[], $10::boolean[]) found (position, differs)
          where exists (select from saved)
         on conflict do nothing
       )
       select count(*)::int as saved from saved`,
      [
        id,
        before.position === undefined ? null : String(before.position),
        String(step.position),
        step.looked,
        step.selected,
        step.results,
        step.pace?.from ?? null,
        step.pace?.at ?? null,
        step.found.map(({ position }) => String(position)),
        step.found.map(({ differs = false }) => differs),
        step.differences,
      ],
    );
    return saved === 1;
  }

  /** Places of results in the order of the log, after a place; with `differs` those with a difference alone. */
  async results(
    id: string,
    { after, differs = false }: { readonly after: bigint | undefined; readonly differs?: boolean },
    limit: number,
  ): Promise<readonly bigint[]> {
    const rows = await this.database.query<{ position: string }[]>(
      'select position from views.replay_results where replay_id = $1 and position > $2 and (differs or not $4) order by position limit $3',
      [id, String(after ?? -1n), limit, differs],
    );
    return rows.map(({ position }) => BigInt(position));
  }
}

function progressOf(row: Row): SavedProgress {
  return {
    first: BigInt(row.first),
    last: BigInt(row.last),
    total: Number(row.total),
    looked: Number(row.looked),
    selected: Number(row.selected),
    results: Number(row.results),
    differences: Number(row.differences),
    ...(row.position !== null && { position: BigInt(row.position) }),
    ...(row.paced_from !== null && row.paced_at !== null && { pace: { from: row.paced_from, at: row.paced_at } }),
  };
}
