import { Rejected } from '#libs/kernel/src/errors.js';
import { parseTime } from '#libs/kernel/src/time/times.js';

/** What is asked to find a point. */
export interface Places {
  /** Position of the newest event. */
  head(): Promise<bigint>;
  /** Position of the last event that was recorded by then; 0n for none. */
  positionAt(time: Date): Promise<bigint>;
}

/**
 * The position that a text names: a position, or a time, which is that of the last event that was recorded by then.
 * @param pointer where the text stands in the request
 * @throws Rejected `as_of.bad_point`, `as_of.in_future`
 */
export async function positionOf(places: Places, text: string, pointer: string, now: Date): Promise<bigint> {
  const refuse = (code: string, detail: string): Rejected =>
    new Rejected('invalid', code, `The point in the log is invalid: ${pointer}: ${detail}`, {
      problems: [{ pointer, detail, code }],
    });
  if (/^\d{1,18}$/.test(text)) {
    const [position, head] = [BigInt(text), await places.head()];
    if (position <= head) return position;
    throw refuse('as_of.in_future', `Must be at most ${head}, where the log ends now.`);
  }
  const time = parseTime(text);
  if (time === undefined)
    throw refuse('as_of.bad_point', 'Must be a position of the log, or a time such as 2026-11-20T09:00:00Z.');
  if (time > now) throw refuse('as_of.in_future', `Must not be after now, ${now.toISOString()}.`);
  return places.positionAt(time);
}
