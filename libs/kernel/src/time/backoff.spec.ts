import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { backoff } from './backoff.js';

const given = { first: 250, max: 30_000 };

describe('back-off', () => {
  test('doubles from the first pause to the longest', () => {
    const longest = [1, 2, 3, 4, 5, 6, 7, 8, 9].map((tries) => backoff(tries, given, 1));
    expect(longest).toEqual([250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
  });

  test('keeps half of it at least, so that those who failed together do not come back together', () => {
    expect(backoff(3, given, 0)).toBe(500);
    expect(backoff(3, given, 0.5)).toBe(750);
  });

  test('is never longer than the longest nor shorter than half of the first, however often it failed', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1_000_000 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (tries, random) => {
          const pause = backoff(tries, given, random);
          expect(pause).toBeGreaterThanOrEqual(125);
          expect(pause).toBeLessThanOrEqual(30_000);
        },
      ),
    );
  });

  test('never shrinks with the number of tries', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100 }), fc.double({ min: 0, max: 1, noNaN: true }), (tries, random) => {
        expect(backoff(tries + 1, given, random)).toBeGreaterThanOrEqual(backoff(tries, given, random));
      }),
    );
  });
});
