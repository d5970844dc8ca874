import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { noSooner, retryAfterSeconds } from './retry-after.js';

const now = new Date('2026-01-01T00:00:00.000Z');

describe('Retry-After', () => {
  it.each([
    ['120', 120],
    ['0', 0],
    [' 7 ', 7],
    ['999999999', 86_400],
    ['45.9', 46],
    ['2.0', 2],
    ['0.001', 1],
    ['Thu, 01 Jan 2026 00:01:00 GMT', 60],
    ['Thursday, 01-Jan-26 00:01:00 GMT', 60],
    ['Thu Jan  1 00:01:00 2026 GMT', 60],
    ['Thu Jan  1 00:01:00 2026', 60],
    ['Wed, 31 Dec 2025 23:00:00 GMT', 0],
    ['Fri, 01 Jan 2027 00:00:00 GMT', 86_400],
  ])('of "%s" is %i seconds', (header, seconds) => expect(retryAfterSeconds(header, now)).toBe(seconds));

  it.each([
    undefined,
    '',
    'soon',
    '-1',
    '1.',
    '.5',
    '1.5.5',
    '1,5',
    '1e3',
    '12345678901',
    'Infinity',
    '0x10',
    'Thu, 99 Foo 2026',
    'Mar 2099',
    'Sat 45',
    'Monday 5',
  ])('of %j means nothing', (header) => expect(retryAfterSeconds(header, now)).toBeUndefined());

  it('is whole, from 0 to a day, or nothing, whatever a receiver sends', () => {
    fc.assert(
      fc.property(fc.string(), (header) => {
        const seconds = retryAfterSeconds(header, now) ?? 0;
        expect(Number.isInteger(seconds) && seconds >= 0 && seconds <= 86_400).toBe(true);
      }),
    );
  });
});

describe('a planned pause', () => {
  it('is as long as planned, or as long as the other side asks, up to a day', () => {
    expect(noSooner(5_000)).toBe(5_000);
    expect(noSooner(5_000, 2)).toBe(5_000);
    expect(noSooner(5_000, 60)).toBe(60_000);
    expect(noSooner(5_000, 1e9)).toBe(86_400_000);
    expect(noSooner(90_000_000, 60)).toBe(90_000_000);
  });
});
