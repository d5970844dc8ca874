import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { afterRotation, inGrace, type PreviousSecret } from './secret-rotation.js';

const NOW = new Date('2026-11-20T12:00:00.000Z');
const HOUR = 3_600;
const until = (hours: number): string => new Date(NOW.getTime() + hours * HOUR * 1000).toISOString();

describe('the rotation of a secret', () => {
  it('keeps the one that is replaced for its grace, before those that have grace left', () => {
    const previous = [
      { secret: 'b', validUntil: until(1) },
      { secret: 'a', validUntil: until(0) },
    ];
    expect(afterRotation({ current: 'c', previous }, 2 * HOUR, NOW, 3)).toEqual([
      { secret: 'c', validUntil: until(2) },
      { secret: 'b', validUntil: until(1) },
    ]);
  });

  it('drops all earlier ones at once without grace', () => {
    const previous = [{ secret: 'a', validUntil: until(100) }];
    expect(afterRotation({ current: 'b', previous }, 0, NOW, 3)).toEqual([]);
  });

  it('adds none where there was none', () => {
    expect(afterRotation({ current: undefined, previous: [] }, HOUR, NOW, 3)).toEqual([]);
  });

  it('leaves none whose grace is over, and no more than are allowed', () => {
    const secrets: fc.Arbitrary<PreviousSecret> = fc.record({
      secret: fc.string(),
      validUntil: fc.integer({ min: -5, max: 5 }).map(until),
    });
    fc.assert(
      fc.property(fc.array(secrets), fc.nat(10 * HOUR), fc.integer({ min: 1, max: 4 }), (previous, grace, most) => {
        const left = afterRotation({ current: 'c', previous }, grace, NOW, most);
        expect(left.length).toBeLessThanOrEqual(most);
        expect(inGrace(left, NOW)).toEqual(left);
      }),
    );
  });
});
