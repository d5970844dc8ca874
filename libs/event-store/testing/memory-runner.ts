import {
  CheckpointMoved,
  type CheckpointMove,
  Checkpoints,
  type CheckpointTransaction,
  type ParkedEvent,
  type StoredCheckpoint,
} from '../src/runner/checkpoints.js';
import { Locks, Signals } from '../src/runner/locks.js';
import type { ViewTransaction } from '../src/subscriber.js';

/** What a transaction of {@link MemoryCheckpoints} offers in place of a ViewTransaction: effects at commit. */
export interface MemoryManager {
  write(effect: () => void): void;
}

export const memoryManager = (views: ViewTransaction): MemoryManager => views as unknown as MemoryManager;

/** Checkpoints of several runners of one test, with the failures that a database has. */
export class MemoryCheckpoints extends Checkpoints {
  readonly positions = new Map<string, StoredCheckpoint>();
  readonly parkedEvents = new Map<string, ParkedEvent & { retry: boolean }>();
  saves = 0;
  /** Called before each commit and save; throws to make it fail. */
  beforeCommit: (move: CheckpointMove | undefined) => void = () => undefined;

  override async load(name: string): Promise<bigint | undefined> {
    return this.positions.get(name)?.position;
  }

  override async begin(): Promise<CheckpointTransaction> {
    const effects: (() => void)[] = [];
    const manager: MemoryManager = { write: (effect) => effects.push(effect) };
    const key = (name: string, position: bigint): string => `${name} ${position}`;
    return {
      views: manager as unknown as ViewTransaction,
      park: async (event) => {
        effects.push(() => this.parkedEvents.set(key(event.subscriber, event.position), { ...event, retry: false }));
      },
      unpark: async (name, position) => {
        effects.push(() => this.parkedEvents.delete(key(name, position)));
      },
      commit: async (move) => {
        this.beforeCommit(move);
        if (move) this.move(move);
        for (const effect of effects) effect();
      },
      rollback: async () => undefined,
    };
  }

  override async save(move: CheckpointMove): Promise<void> {
    this.beforeCommit(move);
    this.move(move);
    this.saves += 1;
  }

  override async all(): Promise<ReadonlyMap<string, StoredCheckpoint>> {
    return this.positions;
  }

  override async parked(name?: string): Promise<readonly ParkedEvent[]> {
    return [...this.parkedEvents.values()].filter((event) => name === undefined || event.subscriber === name);
  }

  override async parkedToRetry(name: string): Promise<readonly ParkedEvent[]> {
    return [...this.parkedEvents.values()].filter((event) => event.subscriber === name && event.retry);
  }

  override async requestRetry(name: string, position: bigint): Promise<boolean> {
    const event = this.parkedEvents.get(`${name} ${position}`);
    if (event) event.retry = true;
    return event !== undefined;
  }

  override async parkedCounts(): Promise<ReadonlyMap<string, number>> {
    const counts = new Map<string, number>();
    for (const { subscriber } of this.parkedEvents.values()) counts.set(subscriber, (counts.get(subscriber) ?? 0) + 1);
    return counts;
  }

  override classify(error: unknown): unknown {
    return error;
  }

  private move(move: CheckpointMove): void {
    if (this.positions.get(move.name)?.position !== move.from) throw new CheckpointMoved(move);
    this.positions.set(move.name, { position: move.to, updatedAt: new Date() });
  }
}

/** Locks of several runners in one process. */
export class MemoryLocks extends Locks {
  private readonly holders = new Map<string, AbortController>();
  private readonly waiting = new Map<string, (() => void)[]>();

  override async hold(name: string, stop: AbortSignal, work: (lost: AbortSignal) => Promise<void>): Promise<void> {
    while (!stop.aborted) {
      if (this.holders.has(name)) {
        await new Promise<void>((done) => {
          this.waiting.set(name, [...(this.waiting.get(name) ?? []), done]);
          stop.addEventListener('abort', () => done(), { once: true });
        });
        continue;
      }
      const lost = new AbortController();
      this.holders.set(name, lost);
      await work(AbortSignal.any([stop, lost.signal]));
      if (this.holders.get(name) === lost) this.holders.delete(name);
      for (const wake of this.waiting.get(name)?.splice(0) ?? []) wake();
      if (!lost.signal.aborted) return;
    }
  }

  /** As when the connection to the database breaks. With `silently`, the holder does not notice: a zombie. */
  breakLock(name: string, silently = false): void {
    const holder = this.holders.get(name);
    this.holders.delete(name);
    if (!silently) holder?.abort();
    for (const wake of this.waiting.get(name)?.splice(0) ?? []) wake();
  }
}

export class MemorySignals extends Signals {
  private readonly listeners = new Map<string, Set<(text: string) => void>>();

  override send(topic: string, text: string): void {
    queueMicrotask(() => this.listeners.get(topic)?.forEach((listener) => listener(text)));
  }

  override listen(topic: string, listener: (text: string) => void): () => void {
    const all = this.listeners.get(topic) ?? new Set();
    this.listeners.set(topic, all.add(listener));
    return () => all.delete(listener);
  }
}
