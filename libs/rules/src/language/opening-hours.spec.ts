import { describe, expect, it, jest } from '@jest/globals';

import { Problems } from '#libs/kernel/src/problems.js';

import { compileOpeningHours, type OpeningHours } from './opening-hours.js';

function hours(given: object): OpeningHours {
  const problems = new Problems('rule');
  const compiled = compileOpeningHours(given, '/window', problems);
  problems.throwIfAny('rule.invalid', 'no hours');
  return compiled!;
}
const open = (given: object, ...times: readonly string[]) => times.map((time) => hours(given).isOpen(new Date(time)));

describe('opening hours', () => {
  it('of one time zone share their clock: ten thousand of their own would take 300 MB', () => {
    const made = jest.spyOn(Intl, 'DateTimeFormat');
    for (let n = 0; n < 100; n++) hours({ timezone: 'Asia/Kathmandu', from: `0${n % 10}:00` });
    expect(made.mock.calls.length).toBe(1);
    made.mockRestore();
  });

  it('are always where nothing is said', () => {
    expect(open({}, '2026-11-22T00:00:00Z', '2026-11-22T23:59:59.999Z')).toEqual([true, true]);
  });

  it('begin with their first minute and end before their last', () => {
    const office = { days: ['mon', 'tue', 'wed', 'thu', 'fri'], from: '09:00', to: '17:30' };
    expect(
      open(office, '2026-11-20T08:59:59Z', '2026-11-20T09:00:00Z', '2026-11-20T17:29:59Z', '2026-11-20T17:30:00Z'),
    ).toEqual([false, true, true, false]);
    expect(open(office, '2026-11-21T12:00:00Z', '2026-11-22T12:00:00Z')).toEqual([false, false]);
  });

  it('over midnight belong to the day on which they begin', () => {
    const night = { days: ['fri'], from: '22:00', to: '06:00' };
    expect(
      open(night, '2026-11-20T03:00:00Z', '2026-11-20T22:00:00Z', '2026-11-21T05:59:00Z', '2026-11-21T06:00:00Z'),
    ).toEqual([false, true, true, false]);
    expect(open(night, '2026-11-21T23:00:00Z')).toEqual([false]);
  });

  it('of the same beginning and end are a whole day from there', () => {
    const shift = { days: ['sat'], from: '08:00', to: '08:00' };
    expect(
      open(shift, '2026-11-21T07:59:00Z', '2026-11-21T08:00:00Z', '2026-11-22T07:59:00Z', '2026-11-22T08:00:00Z'),
    ).toEqual([false, true, true, false]);
  });

  it('follow the clocks of their time zone, summer time included', () => {
    const berlin = { from: '09:00', to: '10:00', timezone: 'Europe/Berlin' };
    // UTC+1 in winter, UTC+2 in summer.
    expect(open(berlin, '2026-01-15T08:00:00Z', '2026-01-15T07:00:00Z')).toEqual([true, false]);
    expect(open(berlin, '2026-07-15T07:00:00Z', '2026-07-15T08:00:00Z')).toEqual([true, false]);
    // The hour from 02:00 comes twice when the clocks go back, and not at all when they go forward.
    const twice = { from: '02:00', to: '03:00', timezone: 'Europe/Berlin' };
    expect(open(twice, '2026-10-25T00:30:00Z', '2026-10-25T01:30:00Z', '2026-10-25T02:30:00Z')).toEqual([
      true,
      true,
      false,
    ]);
    expect(open(twice, '2026-03-29T00:59:00Z', '2026-03-29T01:01:00Z')).toEqual([false, false]);
  });

  it('know the day of their time zone', () => {
    expect(open({ days: ['sat'], timezone: 'Pacific/Auckland' }, '2026-11-20T12:00:00Z')).toEqual([true]);
    expect(open({ days: ['fri'], timezone: 'America/Los_Angeles' }, '2026-11-21T07:00:00Z')).toEqual([true]);
  });

  it('say themselves, and what time it was', () => {
    const office = hours({ days: ['fri', 'mon'], from: '09:00', to: '17:30', timezone: 'Europe/Berlin' });
    expect(office.text).toBe('mon,fri 09:00-17:30 Europe/Berlin');
    expect(office.at(new Date('2026-11-21T03:15:00Z'))).toBe('sat 04:15');
  });
});
