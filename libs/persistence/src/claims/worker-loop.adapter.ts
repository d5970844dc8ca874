import { backoff } from '#libs/kernel/src/time/backoff.js';
import { messageOf, Transient } from '#libs/kernel/src/errors.js';
import type { Uuid } from '#libs/kernel/src/ids.js';
import { type Log, silentLog } from '#libs/kernel/src/log.js';

import type { Claim, WorkClaims } from './work-claims.adapter.js';
import { Finisher } from './work-finisher.js';
import type { Worker } from './work.js';

/** A failure that is not passing is tried this often, then the row is parked. */
const MAX_FAILURES = 8;
const BACKOFF = { first: 250, max: 30_000 };
/** Looks for work at least this often, whatever signals may have been lost. */
const POLL_MS = 1_000;

export interface WorkerLoopOptions {
  readonly worker: Worker;
  readonly claims: WorkClaims;
  /** Under which id rows are claimed; `undefined` while none may be. */
  readonly process: () => Uuid | undefined;
  readonly log?: Log;
}

interface Running {
  readonly work: Claim;
  readonly abort: AbortController;
  /** The claim was lost: whatever comes out is of no interest any more. */
  lost: boolean;
}

/** Claims and runs the work of one queue in this process, as much at a time as its worker allows. */
export class WorkerLoop {
  private readonly running = new Map<string, Running>();
  private readonly finisher: Finisher;
  private readonly log: Log;
  private stopping = false;
  private loop: Promise<void> | undefined;
  private wakeUp: (() => void) | undefined;
  private woken = false;
  /** Rows may be claimable now. */
  private more = false;
  /** The last claim took all it had room for. */
  private full = false;
  /** Groups that the last claim left without room: there may be more of them. */
  private saturated: ReadonlySet<string> = new Set();
  /** What ends while a claim is under way was not reckoned with by it. */
  private claiming = false;
  private after = '';
  private nextDueAt = 0;

  constructor(private readonly options: WorkerLoopOptions) {
    this.log = options.log ?? silentLog;
    this.finisher = new Finisher(options.worker.queue, options.claims, this.log);
  }

  get queue(): string {
    return this.options.worker.queue;
  }

  get busy(): number {
    return this.running.size;
  }

  start(): void {
    this.loop = this.run();
  }

  /** Rows may be claimable from `dueAt` (milliseconds since 1970) on. */
  wake(dueAt = 0): void {
    if (dueAt <= Date.now()) this.more = true;
    this.nextDueAt = Math.min(this.nextDueAt, dueAt);
    this.signal();
  }

  /** The claims of this process are void. */
  lose(): void {
    for (const one of this.running.values()) {
      one.lost = true;
      one.abort.abort(new Transient('work.claim_lost', 'The claim on this work was lost.'));
    }
  }

  /** Claims no more, lets what runs finish until `deadline` (milliseconds since 1970), then aborts it and gives it back. */
  async stop(deadline: number): Promise<void> {
    this.stopping = true;
    this.signal();
    await this.loop;
    await this.untilIdle(deadline);
    for (const { abort } of this.running.values())
      abort.abort(new Transient('work.stopping', 'This process is stopping.'));
    await this.untilIdle(Date.now() + 2_000);
    for (const one of this.running.values()) one.lost = true;
  }

  private async untilIdle(deadline: number): Promise<void> {
    while (this.running.size > 0 && Date.now() < deadline) await this.sleep(Math.min(50, deadline - Date.now()));
  }

  private async run(): Promise<void> {
    for (let failures = 0; !this.stopping;) {
      let pause = POLL_MS;
      try {
        await this.claimWhatIsDue();
        failures = 0;
        pause = Math.max(0, Math.min(POLL_MS, this.nextDueAt - Date.now()));
      } catch (error) {
        failures += 1;
        // Whatever was to be looked for still is.
        this.more = true;
        this.nextDueAt = 0;
        pause = backoff(failures, { first: 100, max: 5_000 });
        this.log.warn({ queue: this.queue, error: messageOf(error) }, 'no work could be claimed');
      }
      await this.sleep(pause);
    }
  }

  private async claimWhatIsDue(): Promise<void> {
    const { worker, claims } = this.options;
    if (Date.now() >= this.nextDueAt) {
      // What is scheduled while this is under way must not be overwritten by its answer.
      this.nextDueAt = Infinity;
      const { promoted, next } = await claims.promote(worker.queue);
      this.nextDueAt = Math.min(this.nextDueAt, promoted === 1000 ? 0 : Date.now() + Math.min(next, POLL_MS));
      // The poll also finds rows that other processes made ready.
      this.more = true;
    }
    while (this.more && !this.stopping) {
      const process = this.options.process();
      const most = worker.concurrency - this.running.size;
      if (process === undefined || most <= 0) return;
      this.more = false;
      const perGroup = worker.perGroup ?? worker.concurrency;
      const free = this.freeByGroup(perGroup);
      this.claiming = true;
      const rows = await claims
        .claim({ queue: worker.queue, process, most, perGroup, free, after: this.after })
        .finally(() => (this.claiming = false));
      for (const { group } of rows) if (group !== '') free.set(group, (free.get(group) ?? perGroup) - 1);
      this.saturated = new Set([...free].flatMap(([group, room]) => (room <= 0 ? group : [])));
      for (const row of rows) this.begin(row);
      this.full = rows.length === most;
      if (this.full || this.after !== '') this.more = true;
      // The smallest text after the last group: the next claim goes on from there, so that every group has its turn.
      this.after = this.full ? `${rows.at(-1)!.group}\u0001` : '';
    }
  }

  private freeByGroup(perGroup: number): Map<string, number> {
    const free = new Map<string, number>();
    for (const { work } of this.running.values())
      if (work.group !== '') free.set(work.group, (free.get(work.group) ?? perGroup) - 1);
    return free;
  }

  private begin(work: Claim): void {
    if (this.running.has(work.key)) {
      // Scheduled again from nothing while an earlier run of it has not ended.
      void this.options.claims.release(work, 250).catch(() => undefined);
      return;
    }
    const one: Running = { work, abort: new AbortController(), lost: false };
    this.running.set(work.key, one);
    void this.perform(one).finally(() => {
      if (this.full || this.claiming || this.saturated.has(work.group)) this.more = true;
      this.running.delete(work.key);
      this.signal();
    });
  }

  private async perform(one: Running): Promise<void> {
    const { worker } = this.options;
    try {
      const { position } = await worker.run(one.work, one.abort.signal);
      if (one.lost) return;
      if (position <= one.work.position) return await this.restWithoutOutcome(one.work);
      const due = await this.finisher.finish({ key: one.work.key, claim: one.work.claim, position }, () => one.lost);
      this.dueAt(due);
    } catch (error) {
      if (one.lost) return;
      await this.giveBack(one, error).catch((problem: unknown) =>
        this.log.error(
          { queue: this.queue, key: one.work.key, error: messageOf(problem) },
          'work could not be released',
        ),
      );
    }
  }

  /** Nothing was appended, so no projection will move the row: without a pause it would be claimed in a circle. */
  private async restWithoutOutcome(work: Claim): Promise<void> {
    const reason = 'the worker ended without an outcome';
    this.log.debug({ queue: this.queue, key: work.key }, reason);
    this.dueAt(await this.options.claims.retryLater(work, backoff(work.tries + 1, BACKOFF), false, reason));
  }

  private async giveBack({ work, abort }: Running, error: unknown): Promise<void> {
    const { claims } = this.options;
    if (abort.signal.aborted) return this.dueAt(await claims.release(work));
    const reason = messageOf(error);
    const fields = { queue: this.queue, key: work.key, reason };
    const bug = !(error instanceof Transient);
    if (bug && work.failures + 1 >= MAX_FAILURES) {
      this.log.error({ ...fields, error }, 'work failed repeatedly and is parked');
      return this.dueAt(await claims.park(work, reason));
    }
    if (bug) this.log.error({ ...fields, error }, 'work failed; it will be retried');
    else this.log.warn(fields, 'work cannot be done now; it will be retried');
    this.dueAt(await claims.retryLater(work, backoff(work.tries + 1, BACKOFF), bug, reason));
  }

  private dueAt(time: number): void {
    this.nextDueAt = Math.min(this.nextDueAt, time);
  }

  private signal(): void {
    this.woken = true;
    this.wakeUp?.();
  }

  private async sleep(milliseconds: number): Promise<void> {
    if (!this.woken)
      await new Promise<void>((done) => {
        const timer = setTimeout(done, milliseconds);
        this.wakeUp = () => {
          clearTimeout(timer);
          done();
        };
      });
    this.wakeUp = undefined;
    this.woken = false;
  }
}
