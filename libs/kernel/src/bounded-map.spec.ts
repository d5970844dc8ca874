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

  it('removes the oldest entry, also after entries were removed, added again or cleared', () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('set' as const), key: fc.nat(9) }),
      fc.record({ do: fc.constant('delete' as const), key: fc.nat(9) }),
      fc.record({ do: fc.constantFrom('removeOldest' as const, 'clear' as const), key: fc.constant(0) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const map = new BoundedMap<number, number>(5);
        const oracle = new Map<number, number>();
        for (const [at, { do: what, key }] of steps.entries()) {
          if (what === 'set') {
            map.set(key, at);
            oracle.set(key, at);
            if (oracle.size > 5) oracle.delete([...oracle.keys()][0]!);
          } else if (what === 'delete') {
            map.delete(key);
            oracle.delete(key);
          } else if (what === 'clear') {
            map.clear();
            oracle.clear();
          } else {
            const [oldest] = oracle;
            expect(map.removeOldest()).toBe(oldest?.[1]);
            if (oldest) oracle.delete(oldest[0]);
          }
          expect([...map]).toEqual([...oracle]);
        }
      }),
    );
  });
});
