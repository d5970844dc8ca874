import { Cron } from 'croner';

/** When a trigger fires: by five fields in a time zone, or every so many milliseconds since midnight UTC, 1 January 1970. */
export type Times = { readonly cron: string; readonly timezone: string } | { readonly everyMs: number };

/** The next times after one, soonest first; fewer where there are no more. */
export function ticksAfter(times: Times, after: Date, count: number): readonly Date[] {
  if ('cron' in times) return cronOf(times).nextRuns(count, after);
  const { everyMs } = times;
  const first = (Math.floor(after.getTime() / everyMs) + 1) * everyMs;
  return Array.from({ length: count }, (_, index) => new Date(first + index * everyMs));
}

/** The last times up to one and after another, soonest first, and whether there were more of them. */
export function ticksUntil(
  times: Times,
  { after, until, most }: { readonly after: Date; readonly until: Date; readonly most: number },
): { readonly ticks: readonly Date[]; readonly hasMore: boolean } {
  // One more than is asked for tells whether there are more.
  const found = 'cron' in times ? cronBefore(times, until, most + 1) : everyBefore(times.everyMs, until, most + 1);
  const ticks = found.filter((tick) => tick > after);
  return { ticks: ticks.slice(0, most).reverse(), hasMore: ticks.length > most };
}

/** Newest first. */
const everyBefore = (everyMs: number, until: Date, count: number): readonly Date[] => {
  const last = Math.floor(until.getTime() / everyMs) * everyMs;
  return Array.from({ length: count }, (_, index) => new Date(last - index * everyMs));
};

/** Newest first. A time that is exactly `until` counts, and croner looks before the second that it is given. */
const cronBefore = (times: { cron: string; timezone: string }, until: Date, count: number): readonly Date[] =>
  cronOf(times)
    .previousRuns(count, new Date(until.getTime() + 1_000))
    .filter((tick) => tick <= until);

function cronOf({ cron, timezone }: { cron: string; timezone: string }): Cron {
  return new Cron(cron, { timezone, paused: true, mode: '5-part' });
}

const LOOKED_AT = 100;

/** The shortest time between two ticks; of a cron, between any of its next hundred. */
export function shortestGap(times: Times): number {
  if ('everyMs' in times) return times.everyMs;
  const ticks = ticksAfter(times, ANY_TIME, LOOKED_AT).map((tick) => tick.getTime());
  return Math.min(...ticks.slice(1).map((tick, index) => tick - ticks[index]!));
}

/** Whether a cron without a year ever fires does not depend on when that is asked. */
const ANY_TIME = new Date('2026-01-01T00:00:00Z');

/** Why five fields cannot be used; `undefined` if they can. */
export function problemOfCron(cron: string): string | undefined {
  const fields = cron.trim().split(/\s+/);
  if (fields.length !== 5)
    return `A cron must have five fields, such as "0 9 * * 1-5": minute, hour, day of the month, month, day of the week. "${cron}" has ${fields.length}.`;
  try {
    const next = new Cron(cron, { timezone: 'UTC', paused: true, mode: '5-part' }).nextRun(ANY_TIME);
    return next === null ? `"${cron}" never fires: no such date exists. Change the day or the month.` : undefined;
  } catch (error) {
    const why = error instanceof Error ? error.message.replace(/^CronPattern: /, '') : String(error);
    return `"${cron}" is not a cron: ${why}.`;
  }
}

export function isTimezone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

/** How the times of a trigger are named, in events too. */
export const namedTimes = (times: Times, every: string): string =>
  'cron' in times ? `${times.cron} ${times.timezone}` : `every ${every}`;
