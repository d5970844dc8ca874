import type { DataSource } from 'typeorm';

import type { Signals } from '#libs/event-store/src/runner/locks.js';
import type { ViewTransaction } from '#libs/event-store/src/subscriber.js';
import { randomText } from '#libs/kernel/src/ids.js';

import { jsonColumn } from '../rows.adapter.js';
import type { LocalWork, Reserved } from './local-work.js';
import { type Claim, type Done, FINISH, finishing } from './work-claims.adapter.js';
import { type Place, type Work, WorkQueue } from './work.js';

/** Told when rows of a queue may have become claimable; `dueAt` is the earliest of their times. */
export type ScheduledListener = (queue: string, dueAt: number) => void;

/** Work that was given up after a bounded number of failures. */
export interface ParkedWork {
  readonly queue: string;
  readonly key: string;
  readonly reason: string;
  readonly failures: number;
  readonly position: bigint;
}

export interface WorkCount {
  readonly queue: string;
  readonly state: 'sleeping' | 'ready' | 'claimed' | 'resting' | 'parked';
  readonly rows: number;
}

interface TakenRow {
  readonly key: string;
  readonly due_at: Date;
  readonly payload: object;
  readonly position: string;
}

/** A row that is claimed, or that waits for the projection of its outcome, stays as it is but for what is to be done. */
const HELD = `(w.state = 'claimed' or w.state = 'resting' and excluded.position < w.await_position)`;

const SCHEDULE = `
  insert into views.work as w (queue, key, grp, due_at, payload, position, state, claim, claimed_by, claims)
  select queue, key, grp, due_at, payload::json, position,
         case when claim is not null then 'claimed' when due_at <= clock_timestamp() then 'ready' else 'sleeping' end,
         claim, process, case when claim is null then 0 else 1 end
    from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::bigint[], $7::bigint[], $8::uuid[])
      as given (queue, key, grp, due_at, payload, position, claim, process)
   order by queue, key
  on conflict (queue, key) do update set
    grp = excluded.grp, due_at = excluded.due_at, payload = excluded.payload, position = excluded.position,
    tries = 0, failures = 0, reason = null,
    -- Counted anew only once the outcome of the last try is known to be in: else the next one must look into the log.
    claims = case when ${HELD} then w.claims
                  when w.state = 'resting' then excluded.claims else w.claims + excluded.claims end,
    state = case when ${HELD} then w.state else excluded.state end,
    claim = case when ${HELD} then w.claim else excluded.claim end,
    claimed_by = case when ${HELD} then w.claimed_by else excluded.claimed_by end,
    await_position = case when ${HELD} or excluded.claim is null then w.await_position else 0 end
  returning w.claim, w.claims`;

/** To workers of other processes: `queue sender`. */
const SCHEDULED = 'millrace_work';
/** Other processes are notified at most this often; their poll finds the rest. */
const TELL_OTHERS_MS = 50;

/** Rows of `views.work`, written in the transaction of a projection. Tells the workers when it commits. */
export class PostgresWorkQueue extends WorkQueue {
  private readonly listeners = new Set<ScheduledListener>();
  private local: LocalWork | undefined;
  private readonly untold = new Set<string>();
  private telling: NodeJS.Timeout | undefined;
  private readonly sender = randomText(6);

  constructor(
    private readonly dataSource: DataSource,
    private readonly signals?: Signals,
  ) {
    super();
    signals?.listen(SCHEDULED, (text) => {
      const [queue, sender] = text.split(' ');
      if (sender !== this.sender) this.tellHere(queue!, 0);
    });
  }

  /** Sets the workers that run in this process; there are none before. */
  handOverTo(local: LocalWork): void {
    this.local = local;
  }

  override async schedule(tx: ViewTransaction, work: readonly Work[]): Promise<void> {
    // One statement cannot touch a row twice: the last one stands.
    const rows = [...new Map(work.map((row) => [`${row.queue}\0${row.key}`, row])).values()];
    if (rows.length === 0) return;
    this.finishEnded(tx, rows);
    const taken = new Map(rows.flatMap((row) => (row.taken && this.isTaken(row) ? [[row, row.taken] as const] : [])));
    const reserved = this.reserve(
      tx,
      rows.filter((row) => !taken.has(row)),
    );
    const claims = new Map<string, number>();
    tx.write(
      SCHEDULE,
      [
        rows.map(({ queue }) => queue),
        rows.map(({ key }) => key),
        rows.map(({ group }) => group ?? ''),
        rows.map(({ dueAt }) => dueAt.toISOString()),
        rows.map(({ payload }) => jsonColumn(payload)),
        rows.map(({ position }) => String(position)),
        rows.map((row) => (taken.get(row) ?? reserved.get(row))?.claim ?? null),
        rows.map((row) => (taken.get(row) ?? reserved.get(row))?.process ?? null),
      ],
      (written) => {
        for (const { claim, claims: count } of written) claims.set(claim as string, count as number);
      },
    );
    tx.onEnd((isCommitted) => {
      for (const [row, one] of reserved) {
        const count = isCommitted ? claims.get(one.claim) : undefined;
        this.local!.settle(one, count === undefined ? undefined : claimOf(row, one, count));
      }
      if (isCommitted) this.tellOf(rows.filter((row) => !reserved.has(row) && !taken.has(row)));
    });
  }

  override take(work: Pick<Work, 'queue' | 'key' | 'group'>): Place | undefined {
    const { local } = this;
    const reserved = local?.reserve(work);
    return (
      reserved && {
        process: reserved.process,
        claim: reserved.claim,
        begin: (begun) => local!.settle(reserved, claimOf(begun, reserved, 1)),
        release: () => local!.settle(reserved),
      }
    );
  }

  override hint(queue: string, key: string, payload: object): void {
    this.local?.hint(queue, key, payload);
  }

  /** What this process no longer works on is there for everybody. The claim of a process that is gone is freed like any other. */
  private isTaken({ queue, key, taken }: Work): boolean {
    return taken !== undefined && this.local?.isForgotten(queue, key, taken) !== true;
  }

  override async remove(tx: ViewTransaction, queue: string, keys: readonly string[], upTo?: bigint): Promise<void> {
    if (keys.length === 0) return;
    const rows = 'delete from views.work where queue = $1 and key = any($2::text[])';
    if (upTo === undefined) tx.write(rows, [queue, keys]);
    else tx.write(`${rows} and position <= $3`, [queue, keys, String(upTo)]);
    tx.onEnd((isCommitted) => isCommitted && this.local?.forget(queue, keys));
  }

  override async takeBack(tx: ViewTransaction, queue: string, group: string, after: string): Promise<readonly Work[]> {
    // A row that is locked is being claimed at this moment.
    const [rows] = await tx.query<[TakenRow[], number]>(
      `delete from views.work where ctid = any (array(
         select ctid from views.work
          where queue = $1 and grp = $2 and key > $3 and state in ('ready', 'sleeping')
          order by key limit 1000 for update skip locked))
       returning key, due_at, payload, position`,
      [queue, group, after],
    );
    return rows
      .map(({ key, due_at, payload, position }) => ({
        queue,
        key,
        dueAt: due_at,
        group,
        payload,
        position: BigInt(position),
      }))
      .sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  override async unended(tx: ViewTransaction, queue: string, keys: readonly string[]): Promise<ReadonlySet<string>> {
    if (keys.length === 0) return new Set();
    const rows = await tx.query<{ key: string }[]>(
      "select key from views.work where queue = $1 and key = any($2::text[]) and state <> 'parked'",
      [queue, keys],
    );
    return new Set(rows.map(({ key }) => key));
  }

  private reserve(tx: ViewTransaction, rows: readonly Work[]): ReadonlyMap<Work, Reserved> {
    const reserved = new Map<Work, Reserved>();
    const now = Date.now();
    for (const row of rows) {
      const one = row.dueAt.getTime() <= now ? this.local?.reserve(row) : undefined;
      if (one) reserved.set(row, one);
    }
    // As every claim: one that a power cut forgets would repeat an effect without looking.
    if (reserved.size > 0) tx.endure();
    return reserved;
  }

  /** What has ended here is reported in the same breath, so that its row can be claimed, or handed over, again. */
  private finishEnded(tx: ViewTransaction, rows: readonly Work[]): void {
    const ended = new Map<string, Done[]>();
    for (const { queue, key, position } of rows) {
      const done = this.local?.ended(queue, key);
      if (done && done.position <= position) ended.set(queue, [...(ended.get(queue) ?? []), done]);
    }
    for (const [queue, done] of ended) {
      tx.write(FINISH, finishing(queue, done));
      const keys = done.map(({ key }) => key);
      tx.onEnd((isCommitted) => isCommitted && this.local?.forget(queue, keys));
    }
  }

  override async withdraw(
    tx: ViewTransaction,
    queue: string,
    rows: readonly { readonly key: string; readonly cause: string }[],
  ): Promise<ReadonlySet<string>> {
    if (rows.length === 0) return new Set();
    // A row that is locked is being claimed at this moment.
    const [removed] = await tx.query<[{ key: string }[], number]>(
      `with free as (
         select w.ctid from views.work w join unnest($2::text[], $3::text[]) as g (key, cause) on g.key = w.key
          where w.queue = $1 and w.state in ('ready', 'sleeping') and w.payload -> 'cause' ->> 'id' = g.cause
            for update of w skip locked)
       delete from views.work where ctid = any (array(select ctid from free)) returning key`,
      [queue, rows.map(({ key }) => key), rows.map(({ cause }) => cause)],
    );
    return new Set(removed.map(({ key }) => key));
  }

  /** Work that was given up, in order of queue and key. */
  async parked(limit = 200): Promise<readonly ParkedWork[]> {
    const rows = await this.dataSource.query<(Omit<ParkedWork, 'position'> & { position: string })[]>(
      `select queue, key, coalesce(reason, '') as reason, failures, position from views.work
        where state = 'parked' order by queue, key limit $1`,
      [limit],
    );
    return rows.map((row) => ({ ...row, position: BigInt(row.position) }));
  }

  /** Makes parked work claimable again. @returns whether it was parked. */
  async retryParked(queue: string, key: string): Promise<boolean> {
    const [, count] = await this.dataSource.query<[unknown, number]>(
      `update views.work set state = 'ready', failures = 0, tries = 0, reason = null
        where queue = $1 and key = $2 and state = 'parked'`,
      [queue, key],
    );
    if (count > 0) this.tell(queue, 0);
    return count > 0;
  }

  /** For metrics. Reads the whole table: not for the hot path. */
  async counts(): Promise<readonly WorkCount[]> {
    return this.dataSource.query<WorkCount[]>(
      'select queue, state, count(*)::int as rows from views.work group by queue, state order by queue, state',
    );
  }

  /** @returns a function that ends it. */
  onScheduled(listener: ScheduledListener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  private tellOf(rows: readonly Work[]): void {
    const earliest = new Map<string, number>();
    for (const { queue, dueAt } of rows)
      earliest.set(queue, Math.min(dueAt.getTime(), earliest.get(queue) ?? Infinity));
    for (const [queue, dueAt] of earliest) this.tell(queue, dueAt);
  }

  private tell(queue: string, dueAt: number): void {
    this.tellHere(queue, dueAt);
    if (!this.signals || dueAt > Date.now() + 1_000) return;
    this.untold.add(queue);
    this.telling ??= setTimeout(() => {
      this.telling = undefined;
      for (const one of this.untold) this.signals!.send(SCHEDULED, `${one} ${this.sender}`);
      this.untold.clear();
    }, TELL_OTHERS_MS).unref();
  }

  private tellHere(queue: string, dueAt: number): void {
    for (const listener of this.listeners) listener(queue, dueAt);
  }
}

const claimOf = (row: Work, { claim }: Reserved, claims: number): Claim => {
  const { group = '' } = row;
  return { ...row, group, claim, claims, tries: 0, failures: 0 };
};
