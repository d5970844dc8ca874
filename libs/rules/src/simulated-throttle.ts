import { uuid5 } from '#libs/kernel/src/ids.js';

import type { CompiledThrottle } from './definition.js';

/** Most keys of one rule that a simulation remembers: 100,000 short ones take about 20 MB. */
export const MAX_SIMULATED_KEYS = 100_000;
const MAX_KEY = 200;

interface Window {
  readonly id: string;
  readonly startedAt: number;
  used: number;
}

/**
 * A rule's throttle over events of the past, in memory: as when deciding, a window begins with the first match after the
 * window before has ended, by the time at which the log took the event. It begins empty, whatever came before.
 */
export class SimulatedThrottle {
  private readonly windows = new Map<string, Window>();
  /** In the order in which they began, which is that in which they end; those before `head` are done with. */
  private order: Window[] = [];
  private head = 0;
  private forgotten = false;

  constructor(
    private readonly throttle: Pick<CompiledThrottle, 'limit' | 'perMs'>,
    private readonly most = MAX_SIMULATED_KEYS,
  ) {}

  /** False once a window had to be forgotten before its end. */
  get isExact(): boolean {
    return !this.forgotten;
  }

  /** Whether one more match of a key at `time` (milliseconds) is within the limit. */
  take(key: string, time: number): boolean {
    const id = key.length <= MAX_KEY ? key : uuid5('throttle', key);
    const { limit, perMs } = this.throttle;
    const window = this.windows.get(id);
    if (window && time < window.startedAt + perMs) {
      if (window.used >= limit) return false;
      window.used++;
      return true;
    }
    this.forget(time);
    const begun: Window = { id, startedAt: time, used: 1 };
    this.windows.set(id, begun);
    this.order.push(begun);
    return true;
  }

  /** Those that are over, and where there are too many the oldest. A Map alone would be slow to find its first entry. */
  private forget(time: number): void {
    for (; this.head < this.order.length; this.head++) {
      const oldest = this.order[this.head]!;
      // Another window of the key has begun since, where the log's clock went back.
      if (this.windows.get(oldest.id) !== oldest) continue;
      const isOver = time >= oldest.startedAt + this.throttle.perMs;
      if (!isOver && this.windows.size < this.most) break;
      this.windows.delete(oldest.id);
      this.forgotten ||= !isOver;
    }
    if (this.head > 1_000 && this.head * 2 > this.order.length) {
      this.order = this.order.slice(this.head);
      this.head = 0;
    }
  }
}
