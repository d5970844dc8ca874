import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { GroupWindows } from './group-windows.js';
import { Slots } from './slots.js';
import type { Claim } from './work-claims.adapter.js';

const claim = (key: string, group: string): Claim => ({
  ...{ queue: 'q', key, group, dueAt: new Date(0), payload: {}, position: 1n },
  ...{ claim: key, claims: 1, tries: 0, failures: 0 },
});

describe('what a group is given at a time', () => {
  it('grows by one for each success up to the most, and is halved by a failure', () => {
    const windows = new GroupWindows({ first: 8, most: 12 });
    const after = (change: (group: string) => void): number => (change.call(windows, 'a'), windows.of('a'));
    expect([1, 2, 3, 4, 5].map(() => after(windows.succeeded))).toEqual([9, 10, 11, 12, 12]);
    expect([1, 2, 3, 4].map(() => after(windows.failed))).toEqual([6, 3, 1, 1]);
    expect(windows.of('b')).toBe(8);
  });

  it('is fixed where the worker says so, and unlimited without a group', () => {
    const windows = new GroupWindows(3);
    windows.succeeded('a');
    windows.failed('a');
    expect([windows.of('a'), windows.of('')]).toEqual([3, Infinity]);
  });

  it('stays within its limits, whatever happens', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean()), (outcomes) => {
        const windows = new GroupWindows({ first: 8, most: 64 });
        for (const succeeded of outcomes) {
          if (succeeded) windows.succeeded('a');
          else windows.failed('a');
          expect(windows.of('a')).toBeGreaterThanOrEqual(1);
          expect(windows.of('a')).toBeLessThanOrEqual(64);
        }
      }),
    );
  });
});

describe('places', () => {
  it('are counted for what runs and for what is reserved', () => {
    const slots = new Slots({ concurrency: 3, perGroup: 2 });
    const one = slots.take(claim('1', 'a'));
    slots.reserve('-5', 'a');
    expect([slots.room(), slots.hasRoomFor({ group: 'a' }), slots.hasRoomFor({ group: 'b' })]).toEqual([
      1,
      false,
      true,
    ]);
    expect(slots.claims()).toEqual(['1', '-5']);
    expect([slots.release('-5'), slots.release('-5')]).toEqual([true, false]);
    slots.free(one);
    expect([slots.room(), slots.size]).toEqual([3, 0]);
  });
});
