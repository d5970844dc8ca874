const MINUTE_MS = 60_000;

/**
 * When the next executions may start, so that no minute has more than `perMinute` starts. Pure.
 * @param earlier starts of the last minute and those that are planned, in order; milliseconds.
 */
export function startTimes(
  earlier: readonly number[],
  { count, perMinute, now }: { readonly count: number; readonly perMinute: number; readonly now: number },
): readonly number[] {
  const times = [...earlier];
  for (let n = 0; n < count; n++) {
    const before = times.at(-perMinute);
    const free = times.length < perMinute || before === undefined ? now : before + MINUTE_MS;
    times.push(Math.max(now, times.at(-1) ?? now, free));
  }
  return times.slice(earlier.length);
}
