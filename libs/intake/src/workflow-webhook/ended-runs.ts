import type { EventStore } from '#libs/event-store/src/event-store.js';

/** Says that a run may have ended. */
export interface Watch {
  /** Resolves to true at the next end. Ask before you look: what comes in between is not missed. */
  next(): Promise<boolean>;
  leave(): void;
}

const OVER: ReadonlySet<string> = new Set(['completed', 'failed', 'cancelled', 'skipped']);

/** Follows the ends of runs in the log, by one subscription for all that wait; by none while nobody does. */
export class EndedRuns {
  private readonly watched = new Map<string, Set<() => void>>();
  private following: AbortController | undefined;

  constructor(private readonly store: EventStore) {}

  /** @param head of the log, as it is now. */
  watch(runId: string, head: bigint): Watch {
    const wakers = this.watched.get(runId) ?? new Set();
    this.watched.set(runId, wakers);
    let wake: (() => void) | undefined;
    const waker = (): void => wake?.();
    wakers.add(waker);
    if (!this.following) {
      this.following = new AbortController();
      void this.follow(head, this.following.signal);
    }
    return {
      next: () =>
        new Promise((resolve) => {
          wake = () => resolve(true);
        }),
      leave: () => {
        wakers.delete(waker);
        if (wakers.size === 0) this.watched.delete(runId);
        if (this.watched.size > 0) return;
        this.following?.abort();
        this.following = undefined;
      },
    };
  }

  private async follow(from: bigint, signal: AbortSignal): Promise<void> {
    const filter = { types: ['workflow.status_changed'] };
    for await (const item of this.store.subscribe({ from, filter, signal })) {
      if (item.kind !== 'events') continue;
      for (const event of item.events)
        if (event.is('workflow.status_changed') && event.isReadable && OVER.has(event.data.to))
          for (const wake of this.watched.get(event.data.runId) ?? []) wake();
    }
  }
}
