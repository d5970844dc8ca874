import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { RateLimiter } from './rate-limiter.js';

const LIMIT = { limit: 3, perMs: 3000 };

describe('the rate limiter', () => {
  it('lets a burst up to the limit through, then says how long to wait', () => {
    const limiter = new RateLimiter();
    expect([0, 0, 0, 0].map(() => limiter.take('a', LIMIT, 0))).toEqual([0, 0, 0, 1000]);
    expect(limiter.take('a', LIMIT, 999)).toBe(1);
    expect(limiter.take('a', LIMIT, 1000)).toBe(0);
    expect(limiter.take('a', LIMIT, 1000)).toBe(1000);
  });

  it('says how long to wait without taking anything', () => {
    const limiter = new RateLimiter();
    expect(limiter.wait('a', LIMIT, 0)).toBe(0);
    for (let n = 0; n < 3; n++) limiter.take('a', LIMIT, 0);
    expect([0, 0].map(() => limiter.wait('a', LIMIT, 500))).toEqual([500, 500]);
    expect(limiter.wait('a', LIMIT, 1000)).toBe(0);
    expect(limiter.take('a', LIMIT, 1000)).toBe(0);
  });

  it('holds only so many keys where strangers choose them', () => {
    const limiter = new RateLimiter(2);
    for (let n = 0; n < 3; n++) limiter.take('a', LIMIT, 0);
    expect(limiter.wait('a', LIMIT, 0)).toBeGreaterThan(0);
    limiter.take('b', LIMIT, 0);
    limiter.take('c', LIMIT, 0);
    expect(limiter.wait('a', LIMIT, 0)).toBe(0);
  });

  it('counts each integration by itself', () => {
    const limiter = new RateLimiter();
    for (let n = 0; n < 3; n++) limiter.take('a', LIMIT, 0);
    expect(limiter.take('b', LIMIT, 0)).toBe(0);
  });

  it('saves up no more than one burst, and is not confused by a clock that goes back', () => {
    const limiter = new RateLimiter();
    limiter.take('a', LIMIT, 0);
    const later = 1_000_000;
    expect([0, 0, 0, 0].map(() => limiter.take('a', LIMIT, later)).filter((wait) => wait === 0)).toHaveLength(3);
    expect(limiter.take('a', LIMIT, 0)).toBeGreaterThan(0);
  });

  it('takes a changed limit over at once', () => {
    const limiter = new RateLimiter();
    for (let n = 0; n < 3; n++) limiter.take('a', LIMIT, 0);
    expect(limiter.take('a', { limit: 10, perMs: 1000 }, 0)).toBe(0);
  });

  it('never lets more through than the limit and what refills', () => {
    const steps = fc.array(fc.nat(500), { minLength: 1, maxLength: 200 });
    fc.assert(
      fc.property(
        steps,
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1000, max: 60_000 }),
        (gaps, limit, perMs) => {
          const limiter = new RateLimiter();
          let now = 0;
          let passed = 0;
          for (const gap of gaps) {
            now += gap;
            if (limiter.take('a', { limit, perMs }, now) === 0) passed++;
          }
          expect(passed).toBeLessThanOrEqual(limit + (now * limit) / perMs + 1e-6);
        },
      ),
    );
  });

  it('forgets who has been quiet, so that it does not grow for ever', () => {
    const limiter = new RateLimiter();
    for (let n = 0; n < 10_000; n++) limiter.take(`key-${n}`, LIMIT, 0);
    limiter.take('late', LIMIT, 10_000);
    expect((limiter as unknown as { buckets: Map<string, unknown> }).buckets.size).toBe(1);
  });
});
