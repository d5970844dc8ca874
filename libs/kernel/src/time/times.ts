/**
 * Times that come from outside. Everything here lies in the years 0001 to 9999: beyond them RFC 3339 has no text for a
 * time, and PostgreSQL does not read the text that JavaScript has.
 */
export const EARLIEST = Date.parse('0001-01-01T00:00:00.000Z');
export const LATEST = Date.parse('9999-12-31T23:59:59.999Z');

const DATE_TIME =
  /^(\d{4})-(\d\d)-(\d\d)(?:[Tt ]([01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,20})?)?(?:[Zz]|[+-]\d\d:[0-5]\d))?$/;

/** RFC 3339, with seconds or without, or a date alone, which is its midnight in UTC. `undefined` for all else. */
export function parseTime(text: string): Date | undefined {
  const [, year, month, day] = DATE_TIME.exec(text) ?? [];
  // JavaScript takes the 31st of every month for a day.
  if (year === undefined || Number(day) > new Date(Date.UTC(Number(year), Number(month), 0)).getUTCDate())
    return undefined;
  return readTime(text);
}

/** The same without dates alone: a point in time. */
export const parseDateTime = (text: string): Date | undefined => (text.length > 10 ? parseTime(text) : undefined);

/** Whatever a sender calls a time: RFC 3339, another form that JavaScript reads, or milliseconds since 1970. */
export function readTime(given: string | number): Date | undefined {
  const time = new Date(given);
  const milliseconds = time.getTime();
  return milliseconds >= EARLIEST && milliseconds <= LATEST ? time : undefined;
}

/** The time so many milliseconds later; the end of time where that is beyond it. */
export const timeAfter = (from: Date, milliseconds: number): Date =>
  new Date(Math.min(from.getTime() + milliseconds, LATEST));
