import type pg from 'pg';

import type { JsonObject } from '#libs/kernel/src/json.js';

import { inDatabase } from '../database-errors.js';
import type { ClaimedWork } from './work.js';

/** A row that this process may work on, and the number under which it reports. */
export interface Claim extends ClaimedWork {
  readonly claim: string;
  /** `''` if the row has none. */
  readonly group: string;
  /** Failed tries in a row, for the back-off; `failures` counts those that were not passing. */
  readonly tries: number;
  readonly failures: number;
}

export interface Done {
  readonly key: string;
  readonly claim: string;
  readonly position: bigint;
}

export interface ClaimOptions {
  readonly queue: string;
  readonly process: string;
  readonly most: number;
  readonly perGroup: number;
  /** How many more rows of these groups may be claimed; others get `perGroup`. */
  readonly free: ReadonlyMap<string, number>;
  /** Groups up to this one come later. */
  readonly after: string;
}

/**
 * Walks from group to group along the index instead of along the rows: a group with 100,000 due rows, of which none
 * may be claimed, costs one step. Never waits for a lock, so it cannot take part in a deadlock.
 */
export const CLAIM = `
  with recursive groups (grp) as (
    (select w.grp from views.work w where w.queue = $1 and w.state = 'ready' and w.grp >= $5 order by w.grp limit 1)
    union all
    select (select w.grp from views.work w where w.queue = $1 and w.state = 'ready' and w.grp > g.grp
             order by w.grp limit 1)
      from groups g where g.grp is not null
  ), picked as (
    select r.ctid as row from groups g
     cross join lateral (
       select w.ctid from views.work w
        where w.queue = $1 and w.state = 'ready' and w.grp = g.grp
        order by w.due_at
        limit case when g.grp = '' then $3
                   else coalesce((select f.free from unnest($6::text[], $7::int[]) f (grp, free) where f.grp = g.grp), $4)
              end
          for update skip locked
     ) r
     where g.grp is not null
     limit $3
  )
  update views.work w
     set state = 'claimed', claimed_by = $2, claim = nextval('views.work_claims'), claims = w.claims + 1, await_position = 0
   where w.ctid = any (array(select row from picked)) and w.state = 'ready'
  returning w.key, w.grp, w.due_at, w.payload, w.position, w.claims, w.crashes, w.claim, w.tries, w.failures`;

/** Rows that the projection of the outcome has locked at this moment are left, and returned for another try. */
export const FINISH = `
  with given as (
    select * from unnest($2::text[], $3::bigint[], $4::bigint[]) as g (key, claim, outcome)
  ), locked as (
    -- Lateral, so that each row is looked up by its key whatever the statistics say.
    select r.row, g.key, g.outcome from given g
     cross join lateral (
       select w.ctid as row from views.work w
        where w.queue = $1 and w.key = g.key and w.claim = g.claim and w.state = 'claimed'
          for update skip locked) r
  ), done as (
    update views.work w
       set state = case when w.position < l.outcome then 'resting'
                        when w.due_at <= clock_timestamp() then 'ready' else 'sleeping' end,
           claims = case when w.position < l.outcome then w.claims else 0 end,
           await_position = l.outcome, claimed_by = null, tries = 0, failures = 0, crashes = 0, reason = null
      from locked l where w.ctid = any (array(select row from locked)) and l.key = w.key and w.state = 'claimed'
    returning w.key, w.state, w.due_at
  )
  select key, state, due_at from done
  union all
  select g.key, 'claimed', null from given g
   cross join lateral (
     select from views.work w where w.queue = $1 and w.key = g.key and w.claim = g.claim and w.state = 'claimed' limit 1) r
   where g.key not in (select key from done)`;

/** The values of {@link FINISH}. */
export const finishing = (queue: string, done: readonly Done[]): unknown[] => [
  queue,
  done.map(({ key }) => key),
  done.map(({ claim }) => claim),
  done.map(({ position }) => String(position)),
];

/** A row that was rescheduled in the meantime keeps its new time, and counts from there. */
const GIVE_BACK = `
  update views.work w
     set state = case when w.position > $8 then case when w.due_at <= clock_timestamp() then 'ready' else 'sleeping' end
                      when $4::int is null then 'parked' when $4 = 0 then 'ready' else 'sleeping' end,
         due_at = case when w.position <= $8 and $4 > 0 then clock_timestamp() + $4 * interval '1 millisecond'
                       else w.due_at end,
         claimed_by = null,
         crashes = 0,
         tries = case when w.position > $8 then w.tries else w.tries + $5 end,
         failures = case when w.position > $8 then w.failures else w.failures + $6 end,
         reason = case when w.position > $8 then w.reason else coalesce($7, w.reason) end
   where queue = $1 and key = $2 and claim = $3 and state = 'claimed'
  returning due_at, state`;

const ORPHANS = `
  update views.work set state = 'ready', claimed_by = null
   where queue = $1 and claimed_by = $2 and state = 'claimed' and claim <> all ($3::bigint[])
  returning key`;

const PROMOTE = `
  with due as (
    update views.work set state = 'ready'
     where ctid = any (array(
       select ctid from views.work
        where queue = $1 and state = 'sleeping' and due_at <= clock_timestamp()
        order by due_at limit 1000 for update skip locked))
       and state = 'sleeping'
    returning 1
  )
  select (select count(*)::int from due) as promoted,
         (select extract(epoch from min(due_at) - clock_timestamp()) * 1000 from views.work
           where queue = $1 and state = 'sleeping' and due_at > clock_timestamp())::float8 as next`;

interface Row {
  readonly key: string;
  readonly grp: string;
  readonly due_at: Date;
  readonly payload: JsonObject;
  readonly position: string;
  readonly claims: number;
  readonly crashes: number;
  readonly claim: string;
  readonly tries: number;
  readonly failures: number;
}

/** The statements of workers on `views.work`. Throw `Transient` where the database cannot be used now. */
export class WorkClaims {
  constructor(private readonly pool: pg.Pool) {}

  async claim({ queue, process, most, perGroup, free, after }: ClaimOptions): Promise<readonly Claim[]> {
    const rows = await this.run<Row>('work-claim', CLAIM, [
      queue,
      process,
      most,
      Math.min(perGroup, most),
      after,
      [...free.keys()],
      [...free.values()],
    ]);
    return rows.map((row) => ({
      queue,
      key: row.key,
      group: row.grp,
      dueAt: row.due_at,
      payload: row.payload,
      position: BigInt(row.position),
      claims: row.claims,
      crashes: row.crashes,
      claim: row.claim,
      tries: row.tries,
      failures: row.failures,
    }));
  }

  /** Frees what this process has claimed and does not know of. @returns how many rows. */
  async freeOrphans(queue: string, process: string, known: readonly string[]): Promise<number> {
    return (await this.run('work-orphans', ORPHANS, [queue, process, known])).length;
  }

  /** @returns the keys that are still locked by somebody else, and the earliest time at which one of the rows is due again. */
  async finish(
    queue: string,
    done: readonly Done[],
  ): Promise<{ readonly left: ReadonlySet<string>; readonly due: number }> {
    const values = finishing(queue, done);
    const rows = await this.run<{ key: string; state: string; due_at: Date | null }>('work-finish', FINISH, values);
    const due = rows
      .filter(({ state }) => state === 'ready' || state === 'sleeping')
      .map((row) => row.due_at!.getTime());
    return {
      left: new Set(rows.filter(({ state }) => state === 'claimed').map(({ key }) => key)),
      due: Math.min(Infinity, ...due),
    };
  }

  /**
   * Without counting it: the process stops, or cannot start with it now.
   * @returns as the others that give a row back, when it is due again (milliseconds since 1970), or Infinity.
   */
  release(work: Claim, afterMs = 0): Promise<number> {
    return this.giveBack(work, afterMs, 0, 0, null);
  }

  retryLater(work: Claim, afterMs: number, bug: boolean, reason: string): Promise<number> {
    return this.giveBack(work, Math.max(1, Math.round(afterMs)), 1, bug ? 1 : 0, reason);
  }

  park(work: Claim, reason: string): Promise<number> {
    return this.giveBack(work, null, 1, 1, reason);
  }

  /** Wakes rows whose time has come, by the clock of the database. @returns milliseconds to the next one. */
  async promote(queue: string): Promise<{ readonly promoted: number; readonly next: number }> {
    const [row] = await this.run<{ promoted: number; next: number | null }>('work-promote', PROMOTE, [queue]);
    return { promoted: row?.promoted ?? 0, next: row?.next ?? Infinity };
  }

  private async giveBack(
    work: Claim,
    afterMs: number | null,
    tries: number,
    failures: number,
    reason: string | null,
  ): Promise<number> {
    const { queue, key, claim, position } = work;
    const values = [queue, key, claim, afterMs, tries, failures, reason, String(position)];
    const [row] = await this.run<{ due_at: Date; state: string }>('work-give-back', GIVE_BACK, values);
    return row && row.state !== 'parked' ? row.due_at.getTime() : Infinity;
  }

  /** Prepared once per connection: planning would cost more than running. */
  private run<R extends pg.QueryResultRow>(name: string, text: string, values: unknown[]): Promise<R[]> {
    return inDatabase(async () => (await this.pool.query<R>({ name, text, values })).rows);
  }
}
