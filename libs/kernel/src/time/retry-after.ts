/** The longest wait for anybody. */
const LONGEST_SECONDS = 24 * 60 * 60;

/**
 * Whole seconds that a `Retry-After` header asks for, given as seconds or as an HTTP date, rounded up, between 0 and a
 * day; `undefined` if it is absent or malformed. RFC 9110 knows whole seconds only, but senders write `2.0` and `45.9`.
 */
export function retryAfterSeconds(header: string | undefined, now: Date): number | undefined {
  const text = header?.trim() ?? '';
  if (/^\d{1,10}(\.\d{1,20})?$/.test(text)) return Math.min(Math.ceil(Number(text)), LONGEST_SECONDS);
  // Only the forms of RFC 9110, all of which name the day and the second: to Date.parse "-3" and "Mar 2099" are dates too.
  if (!/^[A-Z][a-z]{2,8},? .*\d\d:\d\d:\d\d/.test(text)) return undefined;
  // One of the forms names no zone. It is UTC, not ours.
  const at = Date.parse(/\d$/.test(text) && !/[-+]\d{4}$/.test(text) ? `${text} GMT` : text);
  if (Number.isNaN(at)) return undefined;
  return Math.min(Math.max(Math.ceil((at - now.getTime()) / 1000), 0), LONGEST_SECONDS);
}

/**
 * A planned pause in milliseconds, longer where the other side asked for so many seconds, at most a day. What is not a
 * number of seconds asks for nothing.
 */
export const noSooner = (plannedMs: number, retryAfter: number = 0): number =>
  retryAfter > 0 ? Math.max(plannedMs, Math.min(retryAfter, LONGEST_SECONDS) * 1000) : plannedMs;
