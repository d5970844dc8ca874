import { Rejected } from '../errors.js';

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** The longest duration: a leap year. What is later than that is a date, not a duration. */
export const MAX_DURATION_MS = 366 * UNITS.d;

/** What a duration looks like, for JSON Schemas: the longest one included. */
export const DURATION_PATTERN = `^0{0,12}(${Object.entries(UNITS)
  .map(([unit, milliseconds]) => `(${upTo(MAX_DURATION_MS / milliseconds)})${unit}`)
  .join('|')})$`;
/** The same in words. */
export const DURATION_IN_WORDS =
  'a duration of at most 366d: a whole number and ms, s, m, h or d, such as 30s, 5m or 2d';

const PATTERN = new RegExp(DURATION_PATTERN);

/** Milliseconds of `250ms`, `10s`, `5m`, `2h`, `3d`; `undefined` if the text is not a duration, or longer than 366 days. */
export function tryParseDuration(text: string): number | undefined {
  const trimmed = text.trim();
  if (!PATTERN.test(trimmed)) return undefined;
  const [, amount, unit] = /^(\d+)(\D+)$/.exec(trimmed)!;
  return Number(amount) * UNITS[unit as keyof typeof UNITS];
}

/** Milliseconds of a duration. Throws `duration.malformed`. */
export function parseDuration(text: string): number {
  const milliseconds = tryParseDuration(text);
  if (milliseconds === undefined)
    throw new Rejected('invalid', 'duration.malformed', `"${text}" is invalid: it must be ${DURATION_IN_WORDS}.`);
  return milliseconds;
}

/** The shortest exact notation: 90000 becomes `90s`, 60000 `1m`. */
export function formatDuration(milliseconds: number): string {
  for (const unit of ['d', 'h', 'm', 's'] as const)
    if (milliseconds > 0 && milliseconds % UNITS[unit] === 0) return `${milliseconds / UNITS[unit]}${unit}`;
  return `${milliseconds}ms`;
}

/** A regular expression for the whole numbers from 0 to `most`, without leading zeros. */
function upTo(most: number): string {
  const digits = String(most);
  const below = [...digits].flatMap((digit, index) =>
    digit === '0' ? [] : [`${digits.slice(0, index)}[0-${Number(digit) - 1}]\\d{${digits.length - index - 1}}`],
  );
  return [digits, `\\d{1,${digits.length - 1}}`, ...below].join('|');
}
