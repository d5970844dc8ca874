import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { BoundedMap } from './bounded-map.js';

describe('a bounded map', () => {
  it('holds the newest entries, whatever is done to it', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(9), fc.nat())), fc.integer({ min: 1, max: 5 }), (entries, most) => {
        const map = new BoundedMap<number, number>(most);
        const oracle: (readonly [number, number])[] = [];
        for (const [key, value] of entries) {
          map.set(key, value);
          const known = oracle.findIndex(([one]) => one === key);
          if (known >= 0) oracle[known] = [key, value];
          else oracle.push([key, value]);
          if (oracle.length > most) oracle.shift();
          expect([...map]).toEqual(oracle);
        }
      }),
    );
  });
});
