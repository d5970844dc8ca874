const LONGEST_SECONDS = 24 * 60 * 60;

/**
 * Whole seconds that a `Retry-After` header asks for, given as seconds or as an HTTP date, between 0 and a day;
 * `undefined` if it is absent or makes no sense.
 */
export function retryAfterSeconds(header: string | undefined, now: Date): number | undefined {
  const text = header?.trim() ?? '';
  if (/^\d{1,10}$/.test(text)) return Math.min(Number(text), LONGEST_SECONDS);
  // Only the forms of RFC 9110, all of which name the day: Date.parse would take "1.5" or "-3" for a date as well.
  if (!/^[A-Z][a-z]{2,8},? /.test(text)) return undefined;
  const at = Date.parse(text);
  if (Number.isNaN(at)) return undefined;
  return Math.min(Math.max(Math.ceil((at - now.getTime()) / 1000), 0), LONGEST_SECONDS);
}

/** How long to wait after a failure: what was asked for, or what the receiver asked for up to twice that. */
export function delayAfterFailure(afterMs: number, retryAfter: number | undefined): number {
  return Math.max(afterMs, Math.min((retryAfter ?? 0) * 1000, afterMs * 2));
}
