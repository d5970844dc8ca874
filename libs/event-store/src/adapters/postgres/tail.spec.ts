import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { RecordedEvent } from '../../event-store.js';
import { Tail } from './tail.js';

const event = (position: bigint, size = 100, type = 'a'): RecordedEvent =>
  new RecordedEvent(
    's',
    position,
    position,
    '00000000-0000-7000-8000-000000000000',
    type,
    new Date(0),
    'x'.repeat(size),
    '',
  );

const range = (from: number, to: number): bigint[] => Array.from({ length: to - from + 1 }, (_, n) => BigInt(from + n));
const everything = (): boolean => true;
const positions = (found: { events: readonly RecordedEvent[] } | undefined): bigint[] | undefined =>
  found?.events.map(({ position }) => position);

describe('the tail', () => {
  test('begins empty at a position: it covers nothing before, and what comes after', () => {
    const tail = new Tail({ base: 10n, end: 10n }, 1_000_000);
    expect(tail.after(9n, 10, everything)).toBeUndefined();
    expect(tail.after(10n, 10, everything)).toEqual({ events: [], position: 10n });
    tail.push(
      range(11, 13).map((position) => event(position)),
      13n,
    );
    expect(positions(tail.after(10n, 10, everything))).toEqual(range(11, 13));
    expect(positions(tail.after(12n, 10, everything))).toEqual([13n]);
  });

  test('gives no more than asked for, and says how far that is', () => {
    const tail = new Tail({ base: 0n, end: 0n }, 1_000_000);
    tail.push(
      range(1, 10).map((position) => event(position)),
      10n,
    );
    const first = tail.after(0n, 4, everything);
    expect(positions(first)).toEqual(range(1, 4));
    expect(first?.position).toBe(4n);
    expect(tail.after(4n, 100, everything)?.position).toBe(10n);
  });

  test('passes over what does not match, up to its end', () => {
    const tail = new Tail({ base: 0n, end: 0n }, 1_000_000);
    tail.push(
      range(1, 10).map((position) => event(position, 10, position % 3n === 0n ? 'hit' : 'miss')),
      10n,
    );
    const found = tail.after(0n, 10, ({ type }) => type === 'hit');
    expect(positions(found)).toEqual([3n, 6n, 9n]);
    expect(found?.position).toBe(10n);
    expect(tail.after(0n, 10, () => false)).toEqual({ events: [], position: 10n });
  });

  test('looks at a bounded number of events at once', () => {
    const tail = new Tail({ base: 0n, end: 0n }, 100_000_000);
    tail.push(
      range(1, 12_000).map((position) => event(position, 1)),
      12_000n,
    );
    const looks: bigint[] = [];
    for (let at = 0n; at < 12_000n;) looks.push((at = tail.after(at, 10, () => false)!.position));
    expect(looks).toEqual([5_000n, 10_000n, 12_000n]);
  });

  test('covers positions at which there is no event', () => {
    const tail = new Tail({ base: 0n, end: 0n }, 1_000_000);
    tail.push([event(2n), event(7n)], 9n);
    expect(positions(tail.after(3n, 10, everything))).toEqual([7n]);
    expect(tail.after(7n, 10, everything)).toEqual({ events: [], position: 9n });
    expect(tail.end).toBe(9n);
  });

  test('evicts the oldest when it has too many bytes, and then does not reach back that far', () => {
    const tail = new Tail({ base: 0n, end: 0n }, 1_000);
    tail.push(
      range(1, 10).map((position) => event(position, 100)),
      10n,
    );
    expect(tail.base).toBe(7n);
    expect(tail.after(6n, 10, everything)).toBeUndefined();
    expect(positions(tail.after(7n, 10, everything))).toEqual(range(8, 10));
  });

  test('keeps nothing of an event that is larger than itself, and goes on after it', () => {
    const tail = new Tail({ base: 0n, end: 0n }, 1_000);
    tail.push([event(1n, 5_000)], 1n);
    expect([tail.base, tail.end]).toEqual([1n, 1n]);
    tail.push([event(2n, 100)], 2n);
    expect(positions(tail.after(1n, 10, everything))).toEqual([2n]);
  });

  test('after a reset covers only what comes', () => {
    const tail = new Tail({ base: 0n, end: 0n }, 1_000_000);
    tail.push(
      range(1, 5).map((position) => event(position)),
      5n,
    );
    tail.reset(20n);
    expect(tail.after(5n, 10, everything)).toBeUndefined();
    expect(tail.after(20n, 10, everything)).toEqual({ events: [], position: 20n });
  });

  test('read from any covered position in steps of any size gives exactly the events after it', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ size: fc.integer({ min: 0, max: 400 }), gap: fc.integer({ min: 0, max: 3 }) }), {
          maxLength: 200,
        }),
        fc.integer({ min: 1, max: 20_000 }),
        fc.integer({ min: 1, max: 9 }),
        (pushes, maxBytes, limit) => {
          const tail = new Tail({ base: 0n, end: 0n }, maxBytes);
          const all: RecordedEvent[] = [];
          for (const { size, gap } of pushes) {
            const next = event(tail.end + 1n + BigInt(gap), size);
            all.push(next);
            tail.push([next], next.position);
          }
          const kept = all.filter(({ position }) => position > tail.base);
          expect(kept.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThanOrEqual(maxBytes);
          const held = Object.values(tail)
            .flat(1)
            .filter((one) => one instanceof RecordedEvent);
          expect(new Set(held)).toEqual(new Set(kept));
          for (const start of [tail.base, ...kept.map(({ position }) => position)]) {
            const read: bigint[] = [];
            for (let at = start; at < tail.end;) {
              const step = tail.after(at, limit, everything)!;
              read.push(...step.events.map(({ position }) => position));
              at = step.position;
            }
            expect(read).toEqual(kept.map(({ position }) => position).filter((position) => position > start));
          }
        },
      ),
      { numRuns: 60 },
    );
  });
});
