import { describe, expect, it } from '@jest/globals';

import type { Schedule } from '../triggers/schedule.trigger.js';
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
