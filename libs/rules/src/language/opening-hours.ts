import { isObject } from '#libs/kernel/src/json.js';
import { remember } from '#libs/kernel/src/remember.js';

import type { Problems } from './problems.js';

/** Days and hours at which a rule acts, by the time at which the log took the event. */
export interface OpeningHours {
  /** In words: `mon-fri 09:00-17:00 Europe/Berlin`. */
  readonly text: string;
  /** Local day and time: `sat 03:15`, for an explanation. */
  at(time: Date): string;
  isOpen(time: Date): boolean;
}

const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;
type Day = (typeof DAYS)[number];
const TIME = /^([01]\d|2[0-3]):([0-5]\d)$/;
const WHOLE_DAY = '24:00';

/**
 * `{ days?, from?, to?, timezone? }`: without days every day, without times the whole of it, without a time zone UTC.
 * Where `to` is not after `from`, it is of the next day, and the day is that on which the hours begin.
 */
export function compileOpeningHours(given: unknown, pointer: string, problems: Problems): OpeningHours | undefined {
  if (!isObject(given)) {
    problems.add(pointer, 'must be an object: { days?, from?, to?, timezone? }.');
    return undefined;
  }
  problems.unknownKeys(given, ['days', 'from', 'to', 'timezone'], pointer);
  const { days = DAYS, from = '00:00', to = WHOLE_DAY, timezone = 'UTC' } = given;
  const daysAreFine = Array.isArray(days) && days.length > 0 && days.every((day) => DAYS.includes(day as Day));
  if (!daysAreFine) problems.add(`${pointer}/days`, `must be a list of days: ${DAYS.join(', ')}.`);
  const timesAreFine = [
    ['from', from],
    ['to', to],
  ].filter(([key, value]) => {
    const isFine = typeof value === 'string' && (TIME.test(value) || (key === 'to' && value === WHOLE_DAY));
    if (!isFine) problems.add(`${pointer}/${String(key)}`, 'must be a time of day such as 09:00.');
    return !isFine;
  });
  const clock = clockIn(timezone);
  if (!clock) problems.add(`${pointer}/timezone`, 'must be the name of a time zone, such as Europe/Berlin.');
  if (!daysAreFine || timesAreFine.length > 0 || !clock) return undefined;
  const open = new Set(days as readonly Day[]);
  const [start, end] = [from as string, to as string];
  return {
    text: `${DAYS.filter((day) => open.has(day)).join(',')} ${start}-${end} ${String(timezone)}`,
    at: (time) => clock(time).join(' '),
    isOpen: (time) => {
      const [day, local] = clock(time);
      if (start < end) return open.has(day) && local >= start && local < end;
      // After midnight it is still the night of the day before.
      return (open.has(day) && local >= start) || (open.has(dayBefore(day)) && local < end);
    },
  };
}

const dayBefore = (day: Day): Day => DAYS[(DAYS.indexOf(day) + 6) % 7]!;

/** Day and `HH:MM` in a time zone, summer time included; `undefined` if there is no such zone. */
function clockIn(timezone: unknown): ((time: Date) => [day: Day, local: string]) | undefined {
  if (typeof timezone !== 'string') return undefined;
  try {
    return clocks(timezone);
  } catch {
    return undefined;
  }
}

/** A formatter takes 30 kB, and there are fewer zones than rules. @throws RangeError if there is no such zone. */
const clocks = remember((timeZone) => {
  const format = new Intl.DateTimeFormat('en-GB', {
    timeZone,
    weekday: 'short',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  });
  return (time: Date): [day: Day, local: string] => {
    const parts = new Map(format.formatToParts(time).map(({ type, value }) => [type, value]));
    return [parts.get('weekday')!.toLowerCase() as Day, `${parts.get('hour')}:${parts.get('minute')}`];
  };
});
