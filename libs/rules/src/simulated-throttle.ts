import { uuid5 } from '#libs/kernel/src/ids.js';

import type { CompiledThrottle } from './definition.js';

/** Most keys of one rule that a simulation remembers: 100,000 short ones take about 20 MB. */
export const MAX_SIMULATED_KEYS = 100_000;
const MAX_KEY = 200;

/**
 * A rule's throttle over events of the past, in memory: as when deciding, a window begins with the first match after the
 * window before has ended, by the time at which the log took the event. It begins empty, whatever came before.
 */
export class SimulatedThrottle {
  /** In the order in which the windows began, which is that in which they end. */
  private readonly windows = new Map<string, { readonly startedAt: number; used: number }>();
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
    if (window) this.windows.delete(id);
    else this.makeRoom(time);
    this.windows.set(id, { startedAt: time, used: 1 });
    return true;
  }

  private makeRoom(time: number): void {
    if (this.windows.size < this.most) return;
    for (const [id, { startedAt }] of this.windows) {
      if (time < startedAt + this.throttle.perMs) break;
      this.windows.delete(id);
    }
    if (this.windows.size < this.most) return;
    const [oldest] = this.windows.keys();
    this.windows.delete(oldest!);
    this.forgotten = true;
  }
}
