import { setTimeout as delay } from 'node:timers/promises';

import type pg from 'pg';
import type { DataSource } from 'typeorm';

import type { AllPage, EventStore, RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Quarantine } from '#libs/event-store/src/runner/quarantine.table.js';
import type { Projection, ViewTransaction } from '#libs/event-store/src/subscriber.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';
import { messageOf, Transient } from '#libs/kernel/src/errors.js';

import { sidePool } from '../data-source.adapter.js';
import { databaseError, inDatabase } from '../database-errors.js';
import { PostgresViewTransaction } from '../transaction/view-transaction.adapter.js';
import { type DifferingRow, TablesBeside } from './tables-beside.adapter.js';

export type RebuildMode = 'rebuild' | 'verify';

/** How a rebuild ends. */
export type RebuildResult =
  | { readonly kind: 'swapped'; readonly events: number; readonly position: bigint }
  | {
      readonly kind: 'compared';
      readonly events: number;
      readonly position: bigint;
      readonly count: number;
      readonly rows: readonly DifferingRow[];
    }
  /** It was cancelled, or another process goes on with it. */
  | { readonly kind: 'stopped' };

/** Events of one slice: a transaction of its own, so that nothing waits for a rebuild longer than for this. */
const SLICE = 2_000;
/** Most events that are folded while the live tables are locked. */
const LAST_SLICE = 1_000;
const LOCK_TRIES = 50;
const LOCK_PAUSE_MS = 200;
/** Rows that differ, of one verification. */
export const MOST_DIFFERENCES = 100;

/** The event cannot be folded: the rebuild ends, and the live rows stay. */
export class Unfoldable extends Error {
  override readonly name = 'Unfoldable';
}

interface Place {
  readonly position: bigint;
  readonly events: number;
}

/**
 * Folds the log into tables beside those of a projection, in slices, on connections of its own. Each slice and the place that
 * it leads to are one transaction that expects the place before: after a crash it goes on there, and of two processes one
 * stops. The tables end where the checkpoint of the running projection is. Then they take the place of the live ones, or are
 * compared with them.
 */
export class Rebuild {
  private readonly tables: TablesBeside;
  private readonly pool: pg.Pool;
  private place: Place = { position: 0n, events: 0 };

  constructor(
    database: DataSource,
    private readonly store: EventStore,
    private readonly projection: Projection,
    private readonly job: { readonly id: string; readonly mode: RebuildMode },
    /** Events that are passed over. */
    private readonly quarantine: Pick<Quarantine, 'without'>,
  ) {
    this.tables = new TablesBeside(projection.keeps, schemaOf(job.id));
    // Indexes of large tables take as long as they need.
    this.pool = sidePool(database, 2, 0);
  }

  /** @throws Unfoldable; Transient where the database or the log is away */
  async run(signal: AbortSignal): Promise<RebuildResult> {
    try {
      return await this.steps(signal);
    } catch (error) {
      if (error instanceof Stopped) return { kind: 'stopped' };
      throw databaseError(error);
    } finally {
      await this.pool.end();
    }
  }

  private async steps(signal: AbortSignal): Promise<RebuildResult> {
    const known = await this.begin();
    if (known) return known;
    const parked = await this.parked();
    for (;;) {
      await this.catchUp(signal, parked);
      await this.transaction((tx) => this.tables.index(tx));
      await this.catchUp(signal, parked);
      const result = await this.end(parked);
      if (result) return result;
    }
  }

  /** Makes the tables, or finds them as they were left. */
  private begin(): Promise<RebuildResult | undefined> {
    return this.transaction(async (tx) => {
      const [row] = await tx.query<{ position: string | null; events: string; swapped: boolean; status: string }[]>(
        'select position, events, swapped, status from views.projection_rebuilds where id = $1 for update',
        [this.job.id],
      );
      if (row?.status !== 'running') throw new Stopped();
      this.place = { position: BigInt(row.position ?? 0), events: Number(row.events) };
      if (row.swapped) return { kind: 'swapped', ...this.place };
      if (row.position !== null) return undefined;
      await this.tables.create(tx);
      await tx.query('update views.projection_rebuilds set position = 0 where id = $1', [this.job.id]);
      return undefined;
    });
  }

  /** Until it is where the running projection is, or a moment behind. The next page is read while one is folded. */
  private async catchUp(signal: AbortSignal, parked: ReadonlySet<bigint>): Promise<void> {
    let target = await this.target();
    let next = this.read(this.place.position);
    for (;;) {
      if (signal.aborted) {
        await next.catch(() => undefined);
        throw new Transient('rebuild.interrupted', 'The process is stopping; another process goes on.');
      }
      const { events, to, end } = upTo(await next, target);
      if (!end) next = this.read(to);
      await this.slice(events, to, target, parked);
      if (!end) continue;
      const further = await this.target();
      if (further <= target || events.length < LAST_SLICE) return;
      target = further;
      next = this.read(this.place.position);
    }
  }

  private read(after: bigint): Promise<AllPage> {
    const { reads } = this.projection;
    return this.store.readAll({ after, ...(reads !== 'all' && { filter: { types: reads } }), limit: SLICE });
  }

  private async slice(
    events: readonly RecordedEvent[],
    to: bigint,
    target: bigint,
    parked: ReadonlySet<bigint>,
  ): Promise<void> {
    if (to <= this.place.position) return;
    const next = { position: to, events: this.place.events + events.length };
    try {
      await this.transaction(async (tx) => {
        await this.fold(
          tx,
          events.filter(({ position }) => !parked.has(position)),
        );
        await this.move(tx, next, target);
        crashPoint('rebuild.before-slice');
      });
    } catch (error) {
      const known = databaseError(error);
      if (known instanceof Transient || known instanceof Stopped) throw known;
      if (events.length <= 1) {
        // Nobody can read it: the running projection has set it aside too.
        if (events[0]?.isReadable === false) return this.slice([], to, target, parked);
        throw new Unfoldable(`The event at position ${to} cannot be folded: ${messageOf(known)}`, { cause: known });
      }
      // One by one, to name the event.
      for (const event of events) await this.slice([event], event.position, target, parked);
      return this.slice([], to, target, parked);
    }
    this.place = next;
    crashPoint('rebuild.after-slice');
  }

  private async fold(tx: ViewTransaction, all: readonly RecordedEvent[]): Promise<void> {
    const events = this.projection.seesQuarantined === true ? all : this.quarantine.without(all);
    if (events.length === 0) return;
    const beside = this.tables.redirect(tx);
    const { signal } = new AbortController();
    const read = this.projection.readsSealed === true ? events.map(({ sealed }) => sealed) : events;
    const context = { transaction: () => Promise.resolve(beside), isRebuild: true as const, signal };
    await this.projection.handle(read, context);
  }

  /** @throws Stopped where it was cancelled, or another process has gone on. */
  private async move(tx: ViewTransaction, to: Place, target: bigint): Promise<void> {
    const [, moved] = await tx.query<[unknown, number]>(
      `update views.projection_rebuilds set position = $2, events = $3, target = $4
        where id = $1 and position = $5 and status = 'running'`,
      [this.job.id, String(to.position), to.events, String(target), String(this.place.position)],
    );
    if (moved !== 1) throw new Stopped();
  }

  /**
   * Folds what came in the meantime and swaps or compares, all in one transaction. The live tables are locked before the
   * checkpoint: a batch of the running projection that has begun to write ends first.
   * @returns `undefined` where it is too far behind by now.
   */
  private async end(parked: ReadonlySet<bigint>): Promise<RebuildResult | undefined> {
    const { mode } = this.job;
    for (let tries = 1; ; tries++) {
      try {
        return await this.transaction(async (tx) => {
          if (mode === 'verify') await tx.query('set transaction isolation level repeatable read');
          else {
            await tx.query(`set local lock_timeout = '1s'`);
            await this.tables.lock(tx);
          }
          const target = await this.target(tx);
          const { events, to, end } = upTo(await this.read(this.place.position), target);
          if (!end || events.length > LAST_SLICE) return undefined;
          await this.fold(
            tx,
            events.filter(({ position }) => !parked.has(position)),
          );
          const last = { position: to, events: this.place.events + events.length };
          await this.move(tx, last, target);
          if (mode === 'verify')
            return { kind: 'compared', ...last, ...(await this.tables.differences(tx, MOST_DIFFERENCES)) };
          await this.tables.swap(tx);
          await tx.query(
            `with made as (update views.projection_rebuilds set swapped = true where id = $1)
             insert into views.fold_versions (projection, version) values ($2, $3)
             on conflict (projection) do update set version = excluded.version`,
            [this.job.id, this.projection.name, this.projection.keeps.foldVersion],
          );
          crashPoint('rebuild.before-swap');
          return { kind: 'swapped', ...last };
        }, 'on');
      } catch (error) {
        // Somebody reads for long, or the running projection was in the way.
        if (!isLocked(error) || tries === LOCK_TRIES) throw error;
        await this.mustGoOn();
        await delay(LOCK_PAUSE_MS);
      }
    }
  }

  /** @throws Stopped where it was cancelled. */
  private async mustGoOn(): Promise<void> {
    const { rows } = await this.pool.query('select from views.projection_rebuilds where id = $1 and status = $2', [
      this.job.id,
      'running',
    ]);
    if (rows.length === 0) throw new Stopped();
  }

  /** Where the running projection is. */
  private async target(tx?: ViewTransaction): Promise<bigint> {
    const sql = 'select position from views.checkpoints where name = $1';
    const values = [this.projection.name];
    const rows = tx
      ? await tx.query<{ position: string }[]>(this.job.mode === 'rebuild' ? `${sql} for update` : sql, values)
      : (await this.pool.query<{ position: string }>(sql, values)).rows;
    return BigInt(rows[0]?.position ?? 0);
  }

  /** Events that the running projection has set aside: their rows are not there. */
  private async parked(): Promise<ReadonlySet<bigint>> {
    const { rows } = await this.pool.query<{ position: string }>(
      'select position from views.parked_events where subscriber = $1',
      [this.projection.name],
    );
    return new Set(rows.map(({ position }) => BigInt(position)));
  }

  /** @param durable whether the commit waits for the disk: slices follow from the log. */
  private transaction<T>(work: (tx: ViewTransaction) => Promise<T>, durable: 'on' | 'off' = 'off'): Promise<T> {
    const tx = new PostgresViewTransaction(this.pool);
    return inDatabase(async () => {
      try {
        const result = await (async () => {
          if (durable === 'off') await tx.query(`set local synchronous_commit = off`);
          return work(tx);
        })();
        await tx.end();
        return result;
      } catch (error) {
        await tx.rollback();
        throw error;
      }
    });
  }
}

/** Not the one that goes on. */
class Stopped extends Error {}

/** The part of a page that the running projection has processed, and where it ends. */
function upTo({ events, position, end }: AllPage, target: bigint) {
  const some = events.filter((event) => event.position <= target);
  const isAll = some.length === events.length && !end && position < target;
  return { events: some, to: isAll ? position : target, end: !isAll };
}

/** The schema of the tables of a rebuild: its id is a plain name. */
export const schemaOf = (id: string): string => `rebuild_${id}`;

const isLocked = (error: unknown): boolean => {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    const { code } = at as { code?: unknown };
    if (code === '55P03' || code === '40P01' || code === '40001') return true;
  }
  return false;
};
