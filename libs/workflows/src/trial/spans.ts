const UNITS = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000, ms: 1 } as const;

/** One duration or several in a row, such as `26h36m`. */
export const SPAN_PATTERN = '^(\\d{1,12}(d|h|ms|m|s))+$';
export const SPAN_IN_WORDS = 'a duration such as 10m or 26h36m';

/** Milliseconds of a text that fits `SPAN_PATTERN`. */
export const parseSpan = (text: string): number =>
  [...text.matchAll(/(\d+)(d|h|ms|m|s)/g)].reduce(
    (sum, [, amount, unit]) => sum + Number(amount) * UNITS[unit as keyof typeof UNITS],
    0,
  );

/** The same as people write it: 95760000 becomes `26h36m`. Days begin at three, since "26h36m" reads better than "1d2h36m". */
export function formatSpan(milliseconds: number): string {
  const parts: string[] = [];
  let left = milliseconds;
  for (const [unit, length] of Object.entries(UNITS)) {
    if (unit === 'd' && milliseconds < 3 * length) continue;
    const amount = Math.floor(left / length);
    if (amount > 0) parts.push(`${amount}${unit}`);
    left -= amount * length;
  }
  return parts.join('') || '0s';
}
