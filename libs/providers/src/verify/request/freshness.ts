import { tryParseDuration } from '#libs/kernel/src/time/durations.js';
import { parseDateTime } from '#libs/kernel/src/time/times.js';
import { withinTolerance } from '#libs/plugin-sdk/src/signatures.js';
import type { TimestampShape } from '#libs/plugin-sdk/src/scheme/scheme-shape.js';

const DEFAULT_TOLERANCE_MS = 300_000;

/** The time of a request in milliseconds since 1970; `undefined` where the text is none. */
export function readStamp(text: string, unit: TimestampShape['unit'] = 's'): number | undefined {
  if (unit === 'iso') return parseDateTime(text)?.getTime();
  if (!/^\d{1,16}(?:\.\d{1,9})?$/.test(text)) return undefined;
  return Number(text) * (unit === 's' ? 1_000 : 1);
}

export function writeStamp(now: Date, unit: TimestampShape['unit'] = 's'): string {
  if (unit === 'iso') return now.toISOString();
  return String(unit === 's' ? Math.floor(now.getTime() / 1_000) : now.getTime());
}

/** `none`: the sender repeats its requests for long, and signs the time only to make each differ. */
export const isFresh = (ms: number, now: Date, tolerance: string | undefined): boolean =>
  tolerance === 'none' || withinTolerance(ms, now, toleranceMs(tolerance));

export const toleranceMs = (tolerance: string | undefined): number =>
  (tolerance === undefined ? undefined : tryParseDuration(tolerance)) ?? DEFAULT_TOLERANCE_MS;
