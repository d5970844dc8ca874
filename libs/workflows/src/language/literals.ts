import { tryParseDuration } from '#libs/kernel/src/time/durations.js';
import { parseDateTime } from '#libs/kernel/src/time/times.js';

/** What it is will be known when the run comes there. */
export const isTemplate = (value: unknown): boolean => typeof value === 'string' && value.includes('${{');

/** Whether a value is known only when the run comes there; `'text'` of a text with templates in it. */
export function isOpen(value: unknown): boolean | 'text' {
  if (typeof value !== 'string' || !isTemplate(value)) return false;
  const isWhole = value.startsWith('${{') && value.endsWith('}}') && value.lastIndexOf('${{') === 0;
  return isWhole || 'text';
}

/** RFC 3339 with seconds or without. */
export const isTime = (text: string): boolean => parseDateTime(text) !== undefined;

/** The same in words. */
export const TIME_IN_WORDS = 'an RFC 3339 time such as 2026-11-20T09:00:00Z, in the years 0001 to 9999';

/** Milliseconds; `undefined` where it is no duration. */
export const durationOf = (value: unknown): number | undefined =>
  typeof value === 'string' ? tryParseDuration(value) : undefined;
