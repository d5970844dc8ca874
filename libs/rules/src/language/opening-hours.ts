import type { Day, RuleDefinition } from '#libs/events/src/shapes/rule-shape.js';
import type { Problems } from '#libs/kernel/src/problems.js';
import { remember } from '#libs/kernel/src/remember.js';

/** Days and hours at which a rule acts, by the time at which the log took the event. */
export interface OpeningHours {
  /** In words: `mon-fri 09:00-17:00 Europe/Berlin`. */
  readonly text: string;
  /** Local day and time: `sat 03:15`, for an explanation. */
  at(time: Date): string;
  isOpen(time: Date): boolean;
}

const DAYS: Day[] = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];

/**
 * `{ days?, from?, to?, timezone? }`: without days every day, without times the whole of it, without a time zone UTC.
 * Where `to` is not after `from`, it is of the next day, and the day is that on which the hours begin.
 */
export function compileOpeningHours(
  { days = DAYS, from = '00:00', to = '24:00', timezone = 'UTC' }: NonNullable<RuleDefinition['window']>,
  pointer: string,
  problems: Problems,
): OpeningHours | undefined {
  const clock = clockIn(timezone);
  if (!clock) {
    problems.add(`${pointer}/timezone`, 'Must be the name of a time zone, such as Europe/Berlin.');
    return undefined;
  }
  const open = new Set(days);
  return {
    text: `${DAYS.filter((day) => open.has(day)).join(',')} ${from}-${to} ${timezone}`,
    at: (time) => clock(time).join(' '),
    isOpen: (time) => {
      const [day, local] = clock(time);
      if (from < to) return open.has(day) && local >= from && local < to;
      // After midnight it is still the night of the day before.
      return (open.has(day) && local >= from) || (open.has(dayBefore(day)) && local < to);
    },
  };
}

const dayBefore = (day: Day): Day => DAYS[(DAYS.indexOf(day) + 6) % 7]!;

/** Day and `HH:MM` in a time zone, summer time included; `undefined` if there is no such zone. */
function clockIn(timezone: string): ((time: Date) => [day: Day, local: string]) | undefined {
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
