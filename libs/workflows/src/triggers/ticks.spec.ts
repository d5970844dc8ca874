import { describe, expect, it } from '@jest/globals';
import { assert, constantFrom, date, integer, property } from 'fast-check';

import { problemOfCron, ticksAfter, ticksUntil, type Times } from './ticks.js';

const berlin = (cron: string): Times => ({ cron, timezone: 'Europe/Berlin' });
const after = (times: Times, from: string, count: number) =>
  ticksAfter(times, new Date(from), count).map((tick) => tick.toISOString());

describe('times of a cron', () => {
  it('that daylight saving skips come right after the gap', () => {
    // 02:30 does not exist on 29 March 2026: 01:00Z is 03:00 there.
    expect(after(berlin('30 2 * * *'), '2026-03-28T00:00:00Z', 3)).toEqual([
      '2026-03-28T01:30:00.000Z',
      '2026-03-29T01:00:00.000Z',
      '2026-03-30T00:30:00.000Z',
    ]);
  });

  it('that daylight saving doubles come once', () => {
    // 02:30 exists twice on 25 October 2026: the first is 00:30Z.
    expect(after(berlin('30 2 * * *'), '2026-10-24T00:00:00Z', 3)).toEqual([
      '2026-10-24T00:30:00.000Z',
      '2026-10-25T00:30:00.000Z',
      '2026-10-26T01:30:00.000Z',
    ]);
  });

  it('that come every hour come every hour on such days too', () => {
    const hours = ticksAfter(berlin('0 * * * *'), new Date('2026-10-24T22:30:00Z'), 6);
    const gaps = hours.slice(1).map((tick, index) => tick.getTime() - hours[index]!.getTime());
    expect(new Set(gaps)).toEqual(new Set([3_600_000]));
  });

  it('follow the time zone, not the one of the server', () => {
    expect(after(berlin('0 9 * * 1-5'), '2026-11-20T07:59:59Z', 2)).toEqual([
      '2026-11-20T08:00:00.000Z',
      '2026-11-23T08:00:00.000Z',
    ]);
  });

  it.each([
    ['0 0 31 2 *', 'never fires'],
    ['0 0 31 4,6 *', 'never fires'],
    ['0 9 * *', 'five fields'],
    ['0 0 9 * * 1-5', 'five fields'],
    ['@daily', 'five fields'],
    ['61 * * * *', 'minute: 61'],
  ])('%s are refused: %s', (cron, why) => {
    expect(problemOfCron(cron)).toContain(why);
  });

  it('may be rare', () => {
    expect(problemOfCron('0 0 29 2 *')).toBeUndefined();
    expect(after({ cron: '0 0 29 2 *', timezone: 'UTC' }, '2026-01-01T00:00:00Z', 1)).toEqual([
      '2028-02-29T00:00:00.000Z',
    ]);
  });
});

describe('times of a cron over the changes of daylight saving of several zones', () => {
  // Half hours (Lord Howe), an hour at midnight (Havana, Santiago), quarters (Chatham), none at all (Kolkata, UTC).
  const zones = [
    'Europe/Berlin',
    'America/New_York',
    'America/Havana',
    'America/Santiago',
    'Australia/Lord_Howe',
    'Pacific/Chatham',
    'Africa/Casablanca',
    'Asia/Kolkata',
    'UTC',
  ];
  const wall = new Map(
    zones.map((timeZone) => [
      timeZone,
      new Intl.DateTimeFormat('en-GB', { timeZone, dateStyle: 'short', timeStyle: 'short', hourCycle: 'h23' }),
    ]),
  );
  const moments = date({ min: new Date('2024-01-01'), max: new Date('2030-01-01'), noInvalidDate: true });
  const zone = constantFrom(...zones);

  it('daily times come once for each day, at their hour or right after the gap', () => {
    assert(
      property(
        zone,
        moments,
        integer({ min: 0, max: 23 }),
        integer({ min: 0, max: 59 }),
        (timezone, start, hour, minute) => {
          const ticks = ticksAfter({ cron: `${minute} ${hour} * * *`, timezone }, start, 400);
          const local = ticks.map((tick) => wall.get(timezone)!.format(tick).split(', ') as [string, string]);
          const days = local.map(([day]) => day);
          expect(new Set(days).size).toBe(days.length);
          const wanted = `${String(hour).padStart(2, '0')}:${String(minute).padStart(2, '0')}`;
          for (const [index, tick] of ticks.entries()) {
            const [, time] = local[index]!;
            if (time === wanted) continue;
            // The hour does not exist on that day: it is right after the gap, the minute before which is another offset.
            const before = wall
              .get(timezone)!
              .format(new Date(tick.getTime() - 60_000))
              .split(', ')[1]!;
            const minutes = (text: string) => Number(text.slice(0, 2)) * 60 + Number(text.slice(3));
            expect((minutes(time) - minutes(before) + 1_440) % 1_440).toBeGreaterThan(1);
          }
          const gaps = ticks.slice(1).map((tick, index) => tick.getTime() - ticks[index]!.getTime());
          for (const gap of gaps) expect(Math.abs(gap - 86_400_000)).toBeLessThanOrEqual(3_600_000);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('times go forward, and the next one does not depend on from where it is asked', () => {
    const crons = constantFrom('*/15 * * * *', '30 2 * * *', '0 0 * * *', '0 */6 * * 1-5', '45 1 1 * *');
    assert(
      property(zone, moments, crons, integer({ min: 0, max: 20 }), (timezone, start, cron, place) => {
        const times: Times = { cron, timezone };
        const ticks = ticksAfter(times, start, 22);
        for (const [index, tick] of ticks.entries())
          if (index > 0) expect(tick.getTime()).toBeGreaterThan(ticks[index - 1]!.getTime());
        expect(ticksAfter(times, ticks[place]!, 1)).toEqual([ticks[place + 1]]);
        expect(ticksAfter(times, new Date(ticks[place + 1]!.getTime() - 1_000), 1)).toEqual([ticks[place + 1]]);
      }),
      { numRuns: 100 },
    );
  });
});

describe('times with a distance', () => {
  it('are counted from a fixed moment, so that a restart does not move them', () => {
    expect(after({ everyMs: 900_000 }, '2026-11-20T09:07:00Z', 2)).toEqual([
      '2026-11-20T09:15:00.000Z',
      '2026-11-20T09:30:00.000Z',
    ]);
    expect(after({ everyMs: 900_000 }, '2026-11-20T09:15:00Z', 1)).toEqual(['2026-11-20T09:30:00.000Z']);
  });
});

describe('times before a moment', () => {
  const times: readonly Times[] = [
    { everyMs: 420_000 },
    berlin('*/30 * * * *'),
    berlin('30 2 * * *'),
    { cron: '0 9 * * 1-5', timezone: 'America/New_York' },
  ];

  it('are those that come after an earlier one', () => {
    const moments = date({ min: new Date('2025-01-01'), max: new Date('2028-01-01'), noInvalidDate: true });
    assert(
      property(constantFrom(...times), moments, integer({ min: 1, max: 30 }), (one, start, count) => {
        const forward = ticksAfter(one, start, count);
        const last = forward.at(-1)!;
        expect(ticksUntil(one, { after: start, until: last, most: count })).toEqual({ ticks: forward, hasMore: false });
        expect(ticksUntil(one, { after: start, until: last, most: count - 1 || 1 }).ticks.at(-1)).toEqual(last);
      }),
      { numRuns: 60 },
    );
  });

  it('tell whether there were more than were asked for', () => {
    const [after, until] = [new Date('2026-01-01T00:00:00Z'), new Date('2026-01-02T00:00:00Z')];
    const found = ticksUntil({ everyMs: 3_600_000 }, { after, until, most: 3 });
    expect(found.hasMore).toBe(true);
    expect(found.ticks.map((tick) => tick.toISOString().slice(11, 13))).toEqual(['22', '23', '00']);
  });
});
