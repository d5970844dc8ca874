/** Subscriptions are notified of single messages at most this often: waking every subscription costs as much for one event as for many. */
const PAUSE_MS = 2;

/** A subscription's place among those that are woken. */
export interface Watcher {
  /** Resolves at the next news, or at once if there has been some since `seen`. */
  news(seen: number): Promise<void>;
  /** Wakes this one alone. */
  interrupt(): void;
  leave(): void;
}

/** Wakes the subscriptions of a process when something changed. */
export class News {
  /** Counts the changes. */
  version = 0;
  watchers = 0;
  private readonly sleeping = new Map<symbol, () => void>();
  private isDue = false;
  private toldAt = -Infinity;

  watch(): Watcher {
    const key = Symbol('watcher');
    this.watchers++;
    return {
      news: (seen) =>
        seen === this.version ? new Promise((resolve) => this.sleeping.set(key, resolve)) : Promise.resolve(),
      interrupt: () => {
        this.sleeping.get(key)?.();
        this.sleeping.delete(key);
      },
      leave: () => void this.watchers--,
    };
  }

  tell(): void {
    this.version++;
    const resolves = [...this.sleeping.values()];
    this.sleeping.clear();
    for (const resolve of resolves) resolve();
  }

  /**
   * Once for all changes of this turn of the event loop, and of the next milliseconds where it was told just now. Events that
   * arrive one message at a time would otherwise wake every subscription for each of them.
   */
  tellSoon(): void {
    if (this.isDue) return;
    this.isDue = true;
    const tell = (): void => {
      this.isDue = false;
      this.toldAt = performance.now();
      this.tell();
    };
    const left = PAUSE_MS - (performance.now() - this.toldAt);
    if (left > 0) setTimeout(tell, left);
    else setImmediate(tell);
  }
}
