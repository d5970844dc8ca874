import type { DataSource } from 'typeorm';

import { type Log, silentLog } from '#libs/kernel/src/log.js';

import { sidePool } from '../data-source.adapter.js';
import { type LeaseTiming, ProcessLease } from '../session/process-lease.adapter.js';
import { WorkClaims } from './work-claims.adapter.js';
import type { PostgresWorkQueue } from './work-queue.adapter.js';
import type { Worker } from './work.js';
import { WorkerLoop } from './worker-loop.adapter.js';

export interface WorkersOptions {
  readonly dataSource: DataSource;
  readonly queue: PostgresWorkQueue;
  /** One per queue. */
  readonly workers: readonly Worker[];
  readonly log?: Log;
  /** Shorter in tests. */
  readonly timing?: LeaseTiming;
}

/** All claimed work of this process: one loop per queue, one lease for all. */
export class Workers {
  private readonly loops: ReadonlyMap<string, WorkerLoop>;
  private readonly lease: ProcessLease;
  private readonly pool: ReturnType<typeof sidePool>;
  private unsubscribe: (() => void) | undefined;

  constructor(private readonly options: WorkersOptions) {
    const { dataSource, workers, log = silentLog, timing } = options;
    // Connections of their own: a lease must be renewed however busy the others are.
    this.pool = sidePool(dataSource, 4);
    const claims = new WorkClaims(this.pool);
    this.lease = new ProcessLease(this.pool, {
      log,
      ...(timing && { timing }),
      onLost: () => this.loops.forEach((loop) => loop.lose()),
      onFreed: (queues) => queues.forEach((queue) => this.loops.get(queue)?.wake()),
    });
    this.loops = new Map(
      workers.map((worker) => [worker.queue, new WorkerLoop({ worker, claims, process: () => this.lease.id, log })]),
    );
    if (this.loops.size < workers.length) throw new Error('two workers have the same queue');
  }

  async start(): Promise<void> {
    await this.lease.start();
    const { queue } = this.options;
    queue.handOverTo({
      reserve: (work) => this.loops.get(work.queue)?.reserve(work),
      settle: (reserved, work) => this.loops.get(reserved.queue)?.settle(reserved, work),
      hint: (name, key, payload) => this.loops.get(name)?.hint(key, payload),
      isForgotten: (name, key, taken) => this.loops.get(name)?.isForgotten(key, taken) ?? true,
      ended: (name, key) => this.loops.get(name)?.ended(key),
      forget: (name, keys) => this.loops.get(name)?.forget(keys),
    });
    this.unsubscribe = queue.onScheduled((name, dueAt) => this.loops.get(name)?.wake(dueAt));
    for (const loop of this.loops.values()) loop.start();
  }

  /** Rows that are being worked on in this process, by queue. */
  busy(): ReadonlyMap<string, number> {
    return new Map([...this.loops].map(([queue, loop]) => [queue, loop.busy]));
  }

  /** Claims no more and lets what runs finish for `withinMs`; then aborts it and gives it back. */
  async stop(withinMs = 30_000): Promise<void> {
    this.unsubscribe?.();
    const deadline = Date.now() + withinMs;
    await Promise.all([...this.loops.values()].map((loop) => loop.stop(deadline)));
    await this.lease.stop();
    await this.pool.end();
  }
}
