import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { EARLIEST, LATEST, parseDateTime, parseTime, readTime, timeAfter } from './times.js';

const isHeld = (time: Date): boolean => /^\d{4}-/.test(time.toISOString());

describe('a time', () => {
  it.each([
    ['2026-11-20T13:14:15Z', '2026-11-20T13:14:15.000Z'],
    ['2026-11-20T13:14:15.123456789Z', '2026-11-20T13:14:15.123Z'],
    ['2026-11-20T13:14Z', '2026-11-20T13:14:00.000Z'],
    ['2026-11-20t13:14:15z', '2026-11-20T13:14:15.000Z'],
    ['2026-11-20 13:14:15+02:00', '2026-11-20T11:14:15.000Z'],
    ['2024-02-29', '2024-02-29T00:00:00.000Z'],
    ['0001-01-01T00:00:00Z', '0001-01-01T00:00:00.000Z'],
    ['9999-12-31T23:59:59.999Z', '9999-12-31T23:59:59.999Z'],
  ])('%s is read', (text, iso) => expect(parseTime(text)?.toISOString()).toBe(iso));

  it.each([
    ['', 'empty'],
    ['2026-11-20T13:14:15', 'without a zone'],
    ['2026-02-29', 'a day that the year does not have'],
    ['2026-04-31T10:00:00Z', 'a day that the month does not have'],
    ['2026-13-01', 'a month that no year has'],
    ['2026-00-10', 'a month before the first'],
    ['2026-11-00', 'a day before the first'],
    ['2026-11-20T24:00:00Z', 'an hour that no day has'],
    ['2026-11-20T10:60:00Z', 'a minute that no hour has'],
    ['2026-11-20T10:00:00+25:00', 'a zone that is no zone'],
    ['0000-12-31T23:59:59Z', 'the year 0'],
    ['9999-12-31T23:59:59-01:00', 'beyond the year 9999 in UTC'],
    ['+012026-11-20T10:00:00Z', 'six digits of a year'],
    ['2026-W47-5', 'a week'],
    ['20 Nov 2026', 'words'],
    ['1795180455', 'a number'],
    ['2026-11-20T10:00:00Z ', 'a blank after it'],
  ])('%j is none: %s', (text) => expect(parseTime(text)).toBeUndefined());

  it('is a point in time only with its hour', () => {
    expect(parseDateTime('2026-11-20')).toBeUndefined();
    expect(parseDateTime('2026-11-20T13:00Z')).toEqual(new Date('2026-11-20T13:00:00Z'));
  });

  it('of a sender may have other forms, within the same years', () => {
    expect(readTime('2013-12-03 17:15:43 UTC')?.toISOString()).toBe('2013-12-03T17:15:43.000Z');
    expect(readTime(0)?.getTime()).toBe(0);
    for (const none of ['soon', Number.NaN, Infinity, LATEST + 1, EARLIEST - 1, 8.64e15])
      expect(readTime(none)).toBeUndefined();
  });

  it('is read as it was written, and what is read can always be written', () => {
    fc.assert(
      fc.property(fc.date({ min: new Date(EARLIEST), max: new Date(LATEST), noInvalidDate: true }), (time) => {
        expect(parseTime(time.toISOString())).toEqual(time);
      }),
    );
    const texts = fc.oneof(
      fc.string(),
      fc.stringMatching(/^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d))?$/),
    );
    fc.assert(
      fc.property(fc.oneof(texts, fc.double()), (given) => {
        const times = [readTime(given), ...(typeof given === 'string' ? [parseTime(given)] : [])];
        expect(times.every((time) => time === undefined || isHeld(time))).toBe(true);
      }),
    );
  });

  it('never ends after the year 9999', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, noNaN: true }), (milliseconds) => isHeld(timeAfter(new Date(0), milliseconds))),
    );
    expect(timeAfter(new Date(1_000), 500)).toEqual(new Date(1_500));
  });
});
