import { GroupWindows, SLOW_MS } from './group-windows.js';
import type { Claim } from './work-claims.adapter.js';
import type { Work, Worker } from './work.js';

/** A row that this process works on. */
export interface Running {
  readonly work: Claim;
  readonly abort: AbortController;
  readonly startedAt: number;
  /** The claim was lost: whatever comes out is of no interest any more. */
  lost: boolean;
  /** Its row was removed: there is nothing to report. */
  gone: boolean;
  slow: boolean;
}

/** As a multiple of the concurrency: what runs for long frees its place, but this much is the end. */
const MOST_SLOW = 4;

/** The places of one queue in this process: taken by what runs, or reserved for what a transaction is about to hand over. */
export class Slots {
  readonly windows: GroupWindows;
  private readonly running = new Map<string, Running>();
  /** Groups, by the number of the claim. */
  private readonly reserved = new Map<string, string>();
  private readonly held = new Map<string, number>();
  private slow = 0;

  constructor(private readonly worker: Pick<Worker, 'concurrency' | 'perGroup'>) {
    this.windows = new GroupWindows(worker.perGroup ?? worker.concurrency);
  }

  get size(): number {
    return this.running.size;
  }

  has(key: string): boolean {
    return this.running.has(key);
  }

  get(key: string): Running | undefined {
    return this.running.get(key);
  }

  all(): IterableIterator<Running> {
    return this.running.values();
  }

  /** The claims of everything that has a place. */
  claims(): readonly string[] {
    return [...[...this.running.values()].map(({ work }) => work.claim), ...this.reserved.keys()];
  }

  room(): number {
    const { concurrency } = this.worker;
    const bound = Math.min(concurrency + this.slow, concurrency * MOST_SLOW);
    return bound - this.running.size - this.reserved.size;
  }

  isReserved(claim: string): boolean {
    return this.reserved.has(claim);
  }

  hasRoomFor({ group = '' }: Pick<Work, 'group'>): boolean {
    return this.room() > 0 && (this.held.get(group) ?? 0) < this.windows.of(group);
  }

  /** How much may be claimed of groups that have no usual room. */
  rooms(): ReadonlyMap<string, number> {
    return this.windows.rooms(this.held);
  }

  reserve(claim: string, group = ''): void {
    this.reserved.set(claim, group);
    this.count(group, 1);
  }

  /** @returns whether it was reserved. */
  release(claim: string): boolean {
    const group = this.reserved.get(claim);
    if (group === undefined) return false;
    this.reserved.delete(claim);
    this.count(group, -1);
    return true;
  }

  take(work: Claim): Running {
    const startedAt = performance.now();
    const one: Running = { work, abort: new AbortController(), startedAt, lost: false, gone: false, slow: false };
    this.running.set(work.key, one);
    this.count(work.group, 1);
    return one;
  }

  free({ work, slow }: Running): void {
    this.running.delete(work.key);
    this.count(work.group, -1);
    if (slow) this.slow -= 1;
  }

  /** Narrows the groups of what has been running for long, and gives its place to others. */
  noteSlow(): void {
    if (!this.windows.areAdaptive) return;
    const before = performance.now() - SLOW_MS;
    for (const one of this.running.values()) {
      // In the order in which they began.
      if (one.startedAt > before) return;
      if (one.slow) continue;
      one.slow = true;
      this.slow += 1;
      this.windows.failed(one.work.group);
    }
  }

  private count(group: string, change: number): void {
    const count = (this.held.get(group) ?? 0) + change;
    if (count === 0) this.held.delete(group);
    else this.held.set(group, count);
  }
}
