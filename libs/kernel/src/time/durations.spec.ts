import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { DURATION_PATTERN, formatDuration, MAX_DURATION_MS, parseDuration, tryParseDuration } from './durations.js';
import { Rejected } from '../errors.js';

describe('a duration', () => {
  it.each([
    ['250ms', 250],
    ['10s', 10_000],
    ['5m', 300_000],
    ['2h', 7_200_000],
    ['24h', 86_400_000],
    ['3d', 259_200_000],
    ['0s', 0],
    [' 1m ', 60_000],
    ['0000366d', MAX_DURATION_MS],
    ['366d', MAX_DURATION_MS],
    ['8784h', MAX_DURATION_MS],
    ['527040m', MAX_DURATION_MS],
    ['31622400s', MAX_DURATION_MS],
    ['31622400000ms', MAX_DURATION_MS],
    ['365d', 365 * 86_400_000],
  ])('%s is %d milliseconds', (text, milliseconds) => {
    expect(parseDuration(text)).toBe(milliseconds);
  });

  it.each(
    [
      ['', '5', 'm', '1.5h', '-1s', '1 h', '5min', '1h30m', '9999999999999s', '٣s', '1e3s', '0x10s', '1S'],
      ['367d', '8785h', '527041m', '31622401s', '31622400001ms', '300000000d', `${'9'.repeat(400)}d`],
    ].flat(),
  )('%j is refused', (text) => {
    expect(tryParseDuration(text)).toBeUndefined();
    expect(() => parseDuration(text)).toThrow(Rejected);
    expect(() => parseDuration(text)).toThrow(/at most 366d: a whole number and ms, s, m, h or d/);
  });

  it('is what the pattern for schemas takes, and never longer than 366 days', () => {
    const amount = fc.oneof(fc.nat(), fc.maxSafeNat(), fc.constantFrom(366, 367, 8784, 8785, 31_622_400_001, 1e21));
    fc.assert(
      fc.property(amount, fc.constantFrom('ms', 's', 'm', 'h', 'd', 'w', ''), (number, unit) => {
        const text = `${number}${unit}`;
        const milliseconds = tryParseDuration(text);
        expect(new RegExp(DURATION_PATTERN).test(text)).toBe(milliseconds !== undefined);
        const factors: Readonly<Record<string, number>> = { ms: 1, s: 1e3, m: 6e4, h: 36e5, d: 864e5 };
        const wanted = number * (factors[unit] ?? NaN);
        expect(milliseconds).toBe(wanted <= MAX_DURATION_MS ? wanted : undefined);
      }),
      { numRuns: 2000 },
    );
  });

  it('is written in the largest unit that is exact, and read back as the same', () => {
    expect(formatDuration(60_000)).toBe('1m');
    expect(formatDuration(90_000)).toBe('90s');
    expect(formatDuration(0)).toBe('0ms');
    fc.assert(
      fc.property(fc.nat(1_000_000_000), (milliseconds) => {
        expect(parseDuration(formatDuration(milliseconds))).toBe(milliseconds);
      }),
    );
  });
});
