/** Most keys of one rule that a simulation remembers: 100,000 short ones take about 20 MB. */
export const MAX_SIMULATED_KEYS = 100_000;

export interface SimulatedWindow {
  readonly key: string;
  /** May be moved. Milliseconds since 1970. */
  endsAt: number;
}

interface Place<Window> {
  readonly window: Window;
  /** When it was to end as it was put here. */
  readonly at: number;
}

/** Windows by key, in memory and bounded: those that are over are forgotten, and where there are too many the oldest. */
export class SimulatedWindows<Window extends SimulatedWindow> {
  private readonly windows = new Map<string, Window>();
  /** Roughly in the order in which they end; those before `head` are done with. */
  private order: Place<Window>[] = [];
  private head = 0;
  private forgotten = false;

  constructor(
    /** Told when a window is over, or has to be forgotten. */
    private readonly over: (window: Window) => void = () => undefined,
    private readonly most = MAX_SIMULATED_KEYS,
  ) {}

  /** False once a window had to be forgotten before its end. */
  get isExact(): boolean {
    return !this.forgotten;
  }

  /** The window of a key that is not over at `time`. */
  at(key: string, time: number): Window | undefined {
    const window = this.windows.get(key);
    if (!window || time < window.endsAt) return window;
    this.end(window);
    return undefined;
  }

  begin(window: Window, time: number): void {
    this.forget(time);
    this.windows.set(window.key, window);
    this.order.push({ window, at: window.endsAt });
  }

  /** Ends all of them. */
  finish(): void {
    for (const window of [...this.windows.values()]) this.end(window);
  }

  private end(window: Window): void {
    this.windows.delete(window.key);
    this.over(window);
  }

  /** A Map alone would be slow to find its first entry. */
  private forget(time: number): void {
    for (; this.head < this.order.length; this.head++) {
      const { window, at } = this.order[this.head]!;
      // It has ended, and another of its key may have begun.
      if (this.windows.get(window.key) !== window) continue;
      const isOver = time >= window.endsAt;
      if (!isOver && this.windows.size < this.most) {
        if (time < at) break;
        // It has been moved since.
        this.order.push({ window, at: window.endsAt });
        continue;
      }
      this.forgotten ||= !isOver;
      this.end(window);
    }
    if (this.head > 1_000 && this.head * 2 > this.order.length) {
      this.order = this.order.slice(this.head);
      this.head = 0;
    }
  }
}
