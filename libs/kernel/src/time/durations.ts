import { Rejected } from '../errors.js';

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const PATTERN = /^(\d{1,12})(ms|s|m|h|d)$/;

/** Milliseconds of `250ms`, `10s`, `5m`, `2h`, `3d`; `undefined` if the text is not a duration. */
export function tryParseDuration(text: string): number | undefined {
  const match = PATTERN.exec(text.trim());
  if (!match) return undefined;
  return Number(match[1]) * UNITS[match[2] as keyof typeof UNITS];
}

/** Milliseconds of a duration. Throws `duration.malformed`. */
export function parseDuration(text: string): number {
  const milliseconds = tryParseDuration(text);
  if (milliseconds === undefined)
    throw new Rejected(
      'invalid',
      'duration.malformed',
      `"${text}" is not a duration: write a whole number and one of ms, s, m, h, d, such as 30s or 5m.`,
    );
  return milliseconds;
}

/** The shortest exact notation: 90000 becomes `90s`, 60000 `1m`. */
export function formatDuration(milliseconds: number): string {
  for (const unit of ['d', 'h', 'm', 's'] as const)
    if (milliseconds > 0 && milliseconds % UNITS[unit] === 0) return `${milliseconds / UNITS[unit]}${unit}`;
  return `${milliseconds}ms`;
}
