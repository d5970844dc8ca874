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
