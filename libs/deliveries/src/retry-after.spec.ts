import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { delayAfterFailure, retryAfterSeconds } from './retry-after.js';

const now = new Date('2026-01-01T00:00:00.000Z');

describe('Retry-After', () => {
  it.each([
    ['120', 120],
    ['0', 0],
    [' 7 ', 7],
    ['999999999', 86_400],
    ['Thu, 01 Jan 2026 00:01:00 GMT', 60],
    ['Thursday, 01-Jan-26 00:01:00 GMT', 60],
    ['Thu Jan  1 00:01:00 2026 GMT', 60],
    ['Wed, 31 Dec 2025 23:00:00 GMT', 0],
    ['Fri, 01 Jan 2027 00:00:00 GMT', 86_400],
  ])('of "%s" is %i seconds', (header, seconds) => expect(retryAfterSeconds(header, now)).toBe(seconds));

  it.each([undefined, '', 'soon', '-1', '1.5', '1e3', '12345678901', 'Infinity', '0x10', 'Thu, 99 Foo 2026'])(
    'of %j means nothing',
    (header) => expect(retryAfterSeconds(header, now)).toBeUndefined(),
  );

  it('is whole, from 0 to a day, or nothing, whatever a receiver sends', () => {
    fc.assert(
      fc.property(fc.string(), (header) => {
        const seconds = retryAfterSeconds(header, now) ?? 0;
        expect(Number.isInteger(seconds) && seconds >= 0 && seconds <= 86_400).toBe(true);
      }),
    );
  });
});

describe('the wait after a failure', () => {
  it('is what was asked for when the receiver says nothing', () =>
    expect(delayAfterFailure(60_000, undefined)).toBe(60_000));
  it('is lengthened by the receiver', () => expect(delayAfterFailure(60_000, 90)).toBe(90_000));
  it('is lengthened to at most twice', () => expect(delayAfterFailure(60_000, 86_400)).toBe(120_000));
  it('is never shortened', () => expect(delayAfterFailure(60_000, 1)).toBe(60_000));

  it('grows with what was asked for', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(), fc.option(fc.nat(86_400), { nil: undefined }), (a, b, retryAfter) => {
        const [less, more] = [Math.min(a, b), Math.max(a, b)];
        expect(delayAfterFailure(less, retryAfter)).toBeLessThanOrEqual(delayAfterFailure(more, retryAfter));
      }),
    );
  });
});
