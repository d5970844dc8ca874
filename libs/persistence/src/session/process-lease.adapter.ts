import { hostname } from 'node:os';
import { performance } from 'node:perf_hooks';

import type pg from 'pg';

import { messageOf } from '#libs/kernel/src/errors.js';
import { type Uuid, uuid7 } from '#libs/kernel/src/ids.js';
import { type Log, silentLog } from '#libs/kernel/src/log.js';

/** Milliseconds. */
export interface LeaseTiming {
  /** How often a process says that it lives. */
  readonly renewEvery: number;
  /** A process that could not say so for this long does no claimed work: others may think it dead soon. */
  readonly trustFor: number;
  /** By the clock of the database. More than `trustFor`, so that a process stops before others take over. */
  readonly deadAfter: number;
}

const TIMING: LeaseTiming = { renewEvery: 2_000, trustFor: 6_000, deadAfter: 8_000 };

const RENEW = `
  insert into views.processes (id, host, pid) values ($1, $2, $3)
  on conflict (id) do update set seen_at = clock_timestamp()
  returning xmax = 0 as inserted`;

const BURY = `delete from views.processes where id <> $1 and seen_at < clock_timestamp() - $2 * interval '1 millisecond'`;

/** Any process that notices frees what a dead process has claimed; the counts of its tries stay. */
const FREE = `
  update views.work set state = 'ready', claimed_by = null, crashes = crashes + 1
   where ctid = any (array(
     select w.ctid from views.work w
      where w.state = 'claimed' and not exists (select from views.processes p where p.id = w.claimed_by)
      limit 10000 for update skip locked))
     and state = 'claimed'
  returning queue`;

export interface ProcessLeaseOptions {
  readonly log?: Log;
  /** Shorter in tests. */
  readonly timing?: LeaseTiming;
  /** What this process had claimed is no longer its own. */
  readonly onLost: () => void;
  /** Rows of these queues have become free. */
  readonly onFreed: (queues: ReadonlySet<string>) => void;
}

/**
 * This process as others see it: a row whose time it renews. What it claims carries the row's id.
 *
 * States: held → lost (not renewed in time, or removed by another process) → held under a new id. The id changes so that
 * what was claimed under the old one is freed like that of any dead process.
 */
export class ProcessLease {
  private current: Uuid = uuid7();
  private renewedAt = -Infinity;
  private held = false;
  private stopped = false;
  private timer: NodeJS.Timeout | undefined;
  private renewing: Promise<void> | undefined;
  private readonly timing: LeaseTiming;
  private readonly log: Log;

  constructor(
    private readonly pool: pg.Pool,
    private readonly options: ProcessLeaseOptions,
  ) {
    this.timing = options.timing ?? TIMING;
    this.log = options.log ?? silentLog;
  }

  /** The id under which work is claimed now; `undefined` while this process may not claim. */
  get id(): Uuid | undefined {
    return this.held && performance.now() - this.renewedAt <= this.timing.trustFor ? this.current : undefined;
  }

  async start(): Promise<void> {
    await this.renew();
    let next = performance.now() + this.timing.renewEvery;
    this.timer = setInterval(() => {
      if (this.held && performance.now() - this.renewedAt > this.timing.trustFor)
        this.lose('the lease could not be renewed in time');
      if (performance.now() < next || this.renewing) return;
      next = performance.now() + this.timing.renewEvery;
      this.renewing = this.renew().finally(() => (this.renewing = undefined));
    }, this.timing.renewEvery / 8);
  }

  /** Frees what is still claimed. */
  async stop(): Promise<void> {
    this.stopped = true;
    clearInterval(this.timer);
    await this.renewing;
    this.held = false;
    try {
      await this.pool.query('delete from views.processes where id = $1', [this.current]);
      await this.pool.query(FREE);
    } catch {
      // Others will notice within seconds.
    }
  }

  private async renew(): Promise<void> {
    const sentAt = performance.now();
    const id = this.current;
    try {
      const { rows } = await this.pool.query<{ inserted: boolean }>({
        name: 'process-renew',
        text: RENEW,
        values: [id, hostname(), process.pid],
      });
      if (id !== this.current || this.stopped) return;
      if (rows[0]!.inserted && this.held) return this.lose('another process considered this one dead');
      this.renewedAt = sentAt;
      this.held = true;
      await this.freeTheDead();
    } catch (error) {
      this.log.warn({ error: messageOf(error) }, 'this process could not renew its lease');
    }
  }

  private async freeTheDead(): Promise<void> {
    await this.pool.query({ name: 'process-bury', text: BURY, values: [this.current, this.timing.deadAfter] });
    const { rows } = await this.pool.query<{ queue: string }>({ name: 'process-free', text: FREE });
    if (rows.length === 0) return;
    this.log.info({ rows: rows.length }, 'took over the work of a process that is gone');
    this.options.onFreed(new Set(rows.map(({ queue }) => queue)));
  }

  private lose(why: string): void {
    const old = this.current;
    this.held = false;
    this.current = uuid7();
    this.log.error({ why }, 'this process lost its lease; other processes take over its work');
    this.options.onLost();
    // As a dead process would be found, but at once.
    void this.pool.query('delete from views.processes where id = $1', [old]).catch(() => undefined);
  }
}
