import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { LeafRanges, rangeText } from './leaf-ranges.js';

describe('ranges of places in a tree', () => {
  it('are short where places follow each other', () => {
    expect(rangeText([0, 1, 2, 5, 7, 8])).toBe('0-2,5,7-8');
    expect(rangeText([])).toBe('');
  });

  it('have the places that were written, and no others, in whichever order they were added', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat({ max: 60 })), fc.nat({ max: 3 }), (places, parts) => {
        const ranges = new LeafRanges();
        for (let part = parts; part >= 0; part--)
          ranges.add(rangeText(places.filter((place) => place % (parts + 1) === part).sort((a, b) => a - b)));
        for (let place = 0; place <= 60; place++) expect(ranges.has(place)).toBe(places.includes(place));
      }),
    );
  });

  it('are passed over where they are no numbers', () => {
    const ranges = new LeafRanges();
    ranges.add('x-y,3,,-');
    expect([0, 3].map((place) => ranges.has(place))).toEqual([false, true]);
  });
});
