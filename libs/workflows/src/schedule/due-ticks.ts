import { uuid5 } from '#libs/kernel/src/ids.js';

import type { Schedule } from '../triggers/schedule.trigger.js';
import { ticksAfter, ticksUntil, type Times } from '../triggers/ticks.js';

/** A tick that is later than this was missed: nothing ran when its time came. */
export const ON_TIME_MS = 60_000;
/** Most missed ticks that `catchup: all` fires. */
export const MAX_CAUGHT_UP = 100;

/** What becomes of the ticks whose time has come. */
export interface DueTicks {
  /** The first and the last of those that are left out. They lie before all that fire. */
  readonly skipped: { readonly from: Date; readonly to: Date } | undefined;
  readonly fired: readonly { readonly at: Date; readonly late: boolean }[];
}

/** @param next the first tick that has not been handled. Pure. */
export function dueTicks({ times, catchup, catchupWindowMs, jitterMs }: Schedule, next: Date, now: Date): DueTicks {
  const ticks = ticksIn(times, next, now);
  const isLate = (tick: Date): boolean => now.getTime() - tick.getTime() > ON_TIME_MS + jitterMs;
  const isWanted = (tick: Date, index: number): boolean => {
    const isLast = index === ticks.length - 1;
    if (isLast && !isLate(tick)) return true;
    if (catchup === 'none' || now.getTime() - tick.getTime() > catchupWindowMs) return false;
    return isLast || (catchup === 'all' && index >= ticks.length - MAX_CAUGHT_UP);
  };
  const fired = ticks.filter(isWanted);
  const left = ticks.slice(0, ticks.length - fired.length);
  const to = left.at(-1);
  return {
    skipped: to && { from: next, to },
    fired: fired.map((at) => ({ at, late: isLate(at) || at !== ticks.at(-1) })),
  };
}

/** The newest of the ticks whose time has come, one more than can fire. Usually it is one. */
function ticksIn(times: Times, next: Date, now: Date): readonly Date[] {
  if (next > now) return [];
  const [second] = ticksAfter(times, next, 1);
  if (second === undefined || second > now) return [next];
  const after = new Date(next.getTime() - 1);
  return ticksUntil(times, { after, until: now, most: MAX_CAUGHT_UP + 1 }).ticks;
}

/** When a tick fires: within its jitter, and the same for every process that asks. */
export function dueAt(key: string, at: Date, jitterMs: number): Date {
  if (jitterMs === 0) return at;
  const part = parseInt(uuid5('jitter', key, at.toISOString()).slice(0, 8), 16) / 0x1_0000_0000;
  return new Date(at.getTime() + Math.floor(part * jitterMs));
}
