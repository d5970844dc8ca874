import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { Shares } from './per-network.js';

describe('shares', () => {
  it('never hand out more than the whole, nor more than a share to one network, and take everything back', () => {
    const claim = fc.record({ network: fc.constantFrom('a', 'b', 'c'), amount: fc.integer({ min: 1, max: 40 }) });
    fc.assert(
      fc.property(fc.array(claim, { maxLength: 50 }), (claims) => {
        const shares = new Shares(100, 50);
        const taken = claims.filter(({ network, amount }) => shares.take(network, amount));
        const sum = (of: typeof taken) => of.reduce((all, { amount }) => all + amount, 0);
        expect(sum(taken)).toBeLessThanOrEqual(100);
        for (const one of ['a', 'b', 'c'])
          expect(sum(taken.filter(({ network }) => network === one))).toBeLessThanOrEqual(50);
        for (const { network, amount } of taken) shares.give(network, amount);
        expect([shares.take('a', 50), shares.take('b', 50), shares.take('c', 1)]).toEqual([true, true, false]);
      }),
    );
  });
});
