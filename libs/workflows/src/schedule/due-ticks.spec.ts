import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import type { Schedule } from '../triggers/schedule.trigger.js';
import { ticksAfter, type Times } from '../triggers/ticks.js';
import { dueAt, dueTicks } from './due-ticks.js';

const HOUR = 3_600_000;
const at = (text: string) => new Date(`2026-11-${text}:00Z`);
const hourly = (more: Partial<Schedule> = {}): Schedule => ({
  times: { everyMs: HOUR },
  catchup: 'last',
  catchupWindowMs: 24 * HOUR,
  jitterMs: 0,
  ...more,
});

/** Days and hours. */
function due(schedule: Schedule, next: string, now: string) {
  const { skipped, fired } = dueTicks(schedule, at(next), at(now));
  const short = (time: Date) => time.toISOString().slice(8, 16);
  return {
    skipped: skipped && `${short(skipped.from)}..${short(skipped.to)}`,
    fired: fired.map((one) => short(one.at) + (one.late ? ' late' : '')),
  };
}

describe('ticks whose time has come', () => {
  it('fire on time', () => {
    expect(due(hourly(), '20T09:00', '20T09:00')).toEqual({ skipped: undefined, fired: ['20T09:00'] });
  });

  it('are none before their time', () => {
    expect(due(hourly(), '20T09:00', '20T08:59')).toEqual({ skipped: undefined, fired: [] });
  });

  it('fire up to a minute late whatever catchup says', () => {
    expect(due(hourly({ catchup: 'none' }), '20T09:00', '20T09:01').fired).toEqual(['20T09:00']);
    expect(due(hourly({ catchup: 'none' }), '20T09:00', '20T09:02')).toEqual({
      skipped: '20T09:00..20T09:00',
      fired: [],
    });
  });

  it('that were missed are left out with none, but not the one that is due', () => {
    expect(due(hourly({ catchup: 'none' }), '20T06:00', '20T09:00')).toEqual({
      skipped: '20T06:00..20T08:00',
      fired: ['20T09:00'],
    });
  });

  it('that were missed become one with last', () => {
    expect(due(hourly(), '20T06:00', '20T09:30')).toEqual({
      skipped: '20T06:00..20T08:00',
      fired: ['20T09:00 late'],
    });
  });

  it('that were missed all fire with all, in order, within the window', () => {
    expect(due(hourly({ catchup: 'all', catchupWindowMs: 3 * HOUR }), '20T04:00', '20T09:00')).toEqual({
      skipped: '20T04:00..20T05:00',
      fired: ['20T06:00 late', '20T07:00 late', '20T08:00 late', '20T09:00'],
    });
  });

  it('are 100 at most with all', () => {
    const { fired, skipped } = due(hourly({ catchup: 'all', catchupWindowMs: 400 * HOUR }), '01T00:00', '20T09:30');
    expect(fired).toHaveLength(100);
    expect(fired[0]).toBe('16T06:00 late');
    expect(skipped).toBe('01T00:00..16T05:00');
  });

  it('that were missed before the window are left out', () => {
    expect(due(hourly({ catchupWindowMs: HOUR / 4 }), '20T09:00', '20T09:30')).toEqual({
      skipped: '20T09:00..20T09:00',
      fired: [],
    });
  });
});

describe('a clock that jumps', () => {
  const start = at('20T00:00');

  it('fires or skips each time once, in order, whatever it does', () => {
    const jumps = fc.array(fc.integer({ min: -5 * HOUR, max: 12 * HOUR }), { minLength: 1, maxLength: 8 });
    const catchups = fc.constantFrom('none' as const, 'last' as const, 'all' as const);
    const times = fc.constantFrom<Times>(
      { everyMs: HOUR },
      { cron: '30 2 * * *', timezone: 'Europe/Berlin' },
      { cron: '*/20 * * * *', timezone: 'America/Havana' },
    );
    fc.assert(
      fc.property(times, jumps, catchups, (given, steps, catchup) => {
        const schedule = hourly({ times: given, catchup, catchupWindowMs: 400 * HOUR });
        let [next] = ticksAfter(given, start, 1);
        let now = start.getTime();
        const fired: number[] = [];
        const handled: number[] = [];
        for (const step of steps) {
          now += step;
          const due = dueTicks(schedule, next!, new Date(now));
          const last = due.fired.at(-1)?.at ?? due.skipped?.to;
          if (!last) continue;
          const between: Date[] = [];
          for (let tick = next!; tick <= last; tick = ticksAfter(given, tick, 1)[0]!) between.push(tick);
          handled.push(...between.map((tick) => tick.getTime()));
          const wanted = new Set(between.map((tick) => tick.getTime()));
          for (const { at: tick } of due.fired) expect(wanted.has(tick.getTime())).toBe(true);
          // What is skipped lies before all that fires.
          if (due.skipped) expect(due.fired.every((one) => one.at > due.skipped!.to)).toBe(true);
          fired.push(...due.fired.map((one) => one.at.getTime()));
          [next] = ticksAfter(given, last, 1);
          expect(next!.getTime()).toBeGreaterThan(now);
        }
        expect(fired).toEqual([...new Set(fired)].sort((one, other) => one - other));
        expect(handled).toEqual([...new Set(handled)].sort((one, other) => one - other));
      }),
      { numRuns: 40 },
    );
  });
});

describe('jitter', () => {
  it('makes a tick later, by less than it says, and the same for everybody', () => {
    const tick = at('20T09:00');
    const delays = Array.from(
      { length: 50 },
      (_, index) => dueAt(`wf_${index}`, tick, 30_000).getTime() - tick.getTime(),
    );
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...delays)).toBeLessThan(30_000);
    expect(new Set(delays).size).toBeGreaterThan(40);
    expect(dueAt('wf_1', tick, 30_000)).toEqual(dueAt('wf_1', tick, 30_000));
    expect(dueAt('wf_1', tick, 0)).toEqual(tick);
  });
});
