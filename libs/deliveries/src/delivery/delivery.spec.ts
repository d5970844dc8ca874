import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { delayAfterFailure, messageIdOf } from './delivery.js';

describe('a delivery', () => {
  it('names the message after the first delivery', () => expect(messageIdOf('del_01abc')).toBe('msg_01abc'));
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
