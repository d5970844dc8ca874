import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { formatDuration, parseDuration, tryParseDuration } from './durations.js';
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
  ])('%s is %d milliseconds', (text, milliseconds) => {
    expect(parseDuration(text)).toBe(milliseconds);
  });

  it.each(['', '5', 'm', '1.5h', '-1s', '1 h', '5min', '1h30m', '9999999999999s'])('%j is refused', (text) => {
    expect(tryParseDuration(text)).toBeUndefined();
    expect(() => parseDuration(text)).toThrow(Rejected);
    expect(() => parseDuration(text)).toThrow(/ms, s, m, h, d/);
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
