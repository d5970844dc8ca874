import { backoff } from '#libs/kernel/src/time/backoff.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';
import { BoundedMap } from '#libs/kernel/src/bounded-map.js';
import { messageOf, Transient } from '#libs/kernel/src/errors.js';
import type { Uuid } from '#libs/kernel/src/ids.js';
import { type Log, silentLog } from '#libs/kernel/src/log.js';

import { newClaim, type Reserved } from './local-work.js';
import { SLOW_MS } from './group-windows.js';
import { type Running, Slots } from './slots.js';
import type { Claim, Done, WorkClaims } from './work-claims.adapter.js';
import { Finisher } from './work-finisher.js';
import type { Taken, Work, Worker } from './work.js';

/** A failure that is not passing is tried this often, then the row is parked. */
const MAX_FAILURES = 8;
const BACKOFF = { first: 250, max: 30_000 };
/** Looks for work at least this often, whatever signals may have been lost. */
const POLL_MS = 1_000;
/** While there is more than there is room for, rows are claimed in sets: this much later, or when half of the last has ended. */
const GATHER_MS = 20;
/** How often rows are looked for that were handed over by a transaction of which nobody knows whether it was committed. */
const ORPHANS_MS = 10_000;
const MAX_HINTS = 2_000;

export interface WorkerLoopOptions {
  readonly worker: Worker;
  readonly claims: WorkClaims;
  /** Under which id rows are claimed; `undefined` while none may be. */
  readonly process: () => Uuid | undefined;
  readonly log?: Log;
}

/** Claims and runs the work of one queue in this process, as much at a time as its worker allows. */
export class WorkerLoop {
  private readonly slots: Slots;
  /** What has ended, until its row says so. */
  private readonly ending = new Map<string, { readonly one: Running; readonly done: Done }>();
  private readonly finisher: Finisher;
  private readonly hints = new BoundedMap<string, object>(MAX_HINTS);
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
  private claimed = { at: -Infinity, running: 0 };
  private after = '';
  private nextDueAt = 0;
  private orphansAt = performance.now() + ORPHANS_MS;

  constructor(private readonly options: WorkerLoopOptions) {
    this.log = options.log ?? silentLog;
    this.slots = new Slots(options.worker);
    this.finisher = new Finisher(options.worker.queue, options.claims, this.log);
  }

  get queue(): string {
    return this.options.worker.queue;
  }

  get busy(): number {
    return this.slots.size;
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

  /** Older work that waits comes first: then nothing is handed over. */
  reserve(work: Pick<Work, 'key' | 'group'>): Reserved | undefined {
    const process = this.options.process();
    const { group = '' } = work;
    if (process === undefined || this.stopping || this.more || this.full || this.claiming) return undefined;
    if (this.saturated.has(group) || this.slots.has(work.key) || !this.slots.hasRoomFor(work)) return undefined;
    const reserved = { queue: this.queue, claim: newClaim(), process };
    this.slots.reserve(reserved.claim, group);
    return reserved;
  }

  settle({ claim, process }: Reserved, work?: Claim): void {
    if (!this.slots.release(claim) || !work) return this.signal();
    // Claimed under an id that is no longer ours, it is freed like everything of a dead process.
    if (process !== this.options.process()) return;
    if (this.stopping) void this.options.claims.release(work).catch(() => undefined);
    else {
      crashPoint('work.handed-over');
      this.begin(work);
    }
  }

  hint(key: string, payload: object): void {
    this.hints.set(key, payload);
  }

  isForgotten(key: string, { process, claim }: Taken): boolean {
    if (process !== this.options.process()) return false;
    const known = this.slots.get(key)?.work.claim === claim || this.ending.get(key)?.done.claim === claim;
    return !known && !this.slots.isReserved(claim);
  }

  ended(key: string): Done | undefined {
    return this.ending.get(key)?.done;
  }

  forget(keys: readonly string[]): void {
    for (const key of keys) {
      const running = this.slots.get(key);
      if (running) running.gone = true;
      this.ending.delete(key);
    }
    this.finisher.forget(keys);
  }

  /** The claims of this process are void. */
  lose(): void {
    for (const { one } of this.ending.values()) one.lost = true;
    for (const one of this.slots.all()) {
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
    for (const { abort } of this.slots.all()) abort.abort(new Transient('work.stopping', 'This process is stopping.'));
    await this.untilIdle(Date.now() + 2_000);
    for (const one of this.slots.all()) one.lost = true;
    this.finisher.hurry();
    for (const until = Date.now() + 2_000; this.ending.size > 0 && Date.now() < until;) await this.sleep(10);
  }

  private async untilIdle(deadline: number): Promise<void> {
    while (this.slots.size > 0 && Date.now() < deadline) await this.sleep(Math.min(50, deadline - Date.now()));
  }

  private async run(): Promise<void> {
    for (let failures = 0; !this.stopping;) {
      let pause = POLL_MS;
      try {
        this.slots.noteSlow();
        await this.freeOrphans();
        const gather = await this.claimWhatIsDue();
        failures = 0;
        pause = Math.max(0, Math.min(POLL_MS, gather, this.nextDueAt - Date.now()));
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

  /** @returns milliseconds after which more is to be claimed. */
  private async claimWhatIsDue(): Promise<number> {
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
      const most = this.slots.room();
      if (process === undefined || most <= 0) break;
      const gather = this.claimed.at + GATHER_MS - performance.now();
      if (gather > 0 && this.slots.size > this.claimed.running / 2) return gather;
      this.more = false;
      const perGroup = this.slots.windows.first;
      this.claiming = true;
      const free = this.slots.rooms();
      let rows: readonly Claim[] = [];
      try {
        rows = await claims.claim({ queue: worker.queue, process, most, perGroup, free, after: this.after });
        for (const row of rows) this.begin(row);
      } finally {
        // Not before they have begun: what is handed over in between would take the same places.
        this.claiming = false;
      }
      this.saturated = new Set(rows.flatMap(({ group }) => (this.slots.hasRoomFor({ group }) ? [] : group)));
      this.full = rows.length === most;
      if (this.full || this.saturated.size > 0) this.claimed = { at: performance.now(), running: this.slots.size };
      if (this.full || this.after !== '') this.more = true;
      // The smallest text after the last group: the next claim goes on from there, so that every group has its turn.
      this.after = this.full ? `${rows.at(-1)!.group}\u0001` : '';
    }
    return Infinity;
  }

  /** Frees rows of this process that it knows nothing of: their transaction was committed, and the answer got lost. */
  private async freeOrphans(): Promise<void> {
    const process = this.options.process();
    if (process === undefined || performance.now() < this.orphansAt) return;
    this.orphansAt = performance.now() + ORPHANS_MS;
    const known = [...this.slots.claims(), ...[...this.ending.values()].map(({ done }) => done.claim)];
    if ((await this.options.claims.freeOrphans(this.queue, process, known)) > 0) this.more = true;
  }

  private begin(work: Claim): void {
    if (this.slots.has(work.key)) {
      // Scheduled again from nothing while an earlier run of it has not ended.
      void this.options.claims.release(work, 250).catch(() => undefined);
      return;
    }
    const hint = this.hints.get(work.key);
    this.hints.delete(work.key);
    // Whoever had the row before may have got further than the hint knows.
    const isFirst = work.claims === 1 && !work.crashes;
    const one = this.slots.take(hint && isFirst ? { ...work, payload: { ...work.payload, ...hint } } : work);
    void this.perform(one).finally(() => {
      if (this.full || this.claiming || this.saturated.has(work.group)) this.more = true;
      this.slots.free(one);
      if (this.more) this.signal();
    });
  }

  private async perform(one: Running): Promise<void> {
    const { worker } = this.options;
    const { work } = one;
    const { windows } = this.slots;
    try {
      const { position, hasFailed = false, againAfterMs } = await worker.run(work, one.abort.signal);
      if (one.lost) return;
      if (againAfterMs !== undefined) return this.dueAt(await this.options.claims.release(work, againAfterMs));
      if (hasFailed) windows.failed(work.group);
      else if (performance.now() - one.startedAt < SLOW_MS) windows.succeeded(work.group);
      if (one.gone) return;
      if (position <= work.position) return await this.restWithoutOutcome(work);
      this.report(one, { key: work.key, claim: work.claim, position });
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

  /** Its place is free at once. The projection of the outcome usually says what becomes of the row before it is reported. */
  private report(one: Running, done: Done): void {
    const { key } = done;
    const entry = { one, done };
    this.ending.set(key, entry);
    void this.finisher
      .finish(done, () => one.lost)
      .then((due) => {
        if (this.ending.get(key) === entry) this.ending.delete(key);
        if (due < Infinity) this.wake(due);
      });
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
    if (time >= this.nextDueAt) return;
    this.nextDueAt = time;
    this.signal();
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
