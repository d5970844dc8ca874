import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { RecordedEvent } from '../../event-store.js';
import { TailBuffer } from './tail-buffer.js';

const event = (position: bigint, text = ''): RecordedEvent =>
  new RecordedEvent('s', position, position, `id-${position}`, 't', new Date(0), text, '{}');
const all = (): boolean => true;
const positions = (events: readonly RecordedEvent[]): bigint[] => events.map(({ position }) => position);

describe('the buffer of the newest events', () => {
  test('covers nothing before it has begun, then everything after its beginning', () => {
    const buffer = new TailBuffer();
    expect(buffer.covers(100n)).toBe(false);
    expect(buffer.seen).toBeUndefined();
    buffer.begin(50n);
    expect(buffer.seen).toBe(50n);
    expect([49n, 50n, 51n].map((position) => buffer.covers(position))).toEqual([false, true, true]);
  });

  test('gives what lies after a position, and says how far it looked', () => {
    const buffer = new TailBuffer();
    buffer.begin(0n);
    for (const position of [10n, 20n, 30n]) buffer.push(event(position));
    expect(positions(buffer.after(10n, all, 10).events)).toEqual([20n, 30n]);
    expect(buffer.after(0n, all, 2)).toMatchObject({ position: 20n });
    expect(buffer.after(0n, () => false, 2)).toEqual({ events: [], position: 30n });
    expect(buffer.after(30n, all, 2)).toEqual({ events: [], position: 30n });
  });

  test('moves on over what it does not keep', () => {
    const buffer = new TailBuffer();
    buffer.begin(0n);
    buffer.push(event(10n));
    buffer.passed(40n);
    expect(buffer.after(10n, all, 5)).toEqual({ events: [], position: 40n });
    expect(buffer.seen).toBe(40n);
  });

  test('takes what is delivered again once', () => {
    const buffer = new TailBuffer();
    buffer.begin(0n);
    for (const position of [10n, 20n, 10n, 20n, 30n]) buffer.push(event(position));
    expect(positions(buffer.after(0n, all, 10).events)).toEqual([10n, 20n, 30n]);
  });

  test('forgets the oldest beyond its number, and no longer covers what lies before', () => {
    const buffer = new TailBuffer(3);
    buffer.begin(0n);
    for (let n = 1n; n <= 5n; n++) buffer.push(event(n * 10n));
    expect(buffer.covers(10n)).toBe(false);
    expect(buffer.covers(20n)).toBe(true);
    expect(positions(buffer.after(20n, all, 10).events)).toEqual([30n, 40n, 50n]);
    const held = Object.values(buffer)
      .flat(1)
      .filter((one) => one instanceof RecordedEvent);
    expect(positions(held)).toEqual([30n, 40n, 50n]);
  });

  test('forgets the oldest beyond its bytes', () => {
    const one = event(10n, 'x'.repeat(1000));
    const buffer = new TailBuffer(100, 3 * one.bytes);
    buffer.begin(0n);
    for (let n = 1n; n <= 5n; n++) buffer.push(event(n * 10n, 'x'.repeat(1000)));
    expect(positions(buffer.after(20n, all, 10).events)).toEqual([30n, 40n, 50n]);
    expect(buffer.covers(10n)).toBe(false);
  });

  test('whatever is pushed and pulled, a reader that it covers misses nothing', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1500 }),
        fc.array(fc.record({ push: fc.integer({ min: 0, max: 900 }), pull: fc.integer({ min: 1, max: 900 }) }), {
          maxLength: 12,
        }),
        (size, steps) => {
          const buffer = new TailBuffer(size);
          buffer.begin(0n);
          let written = 0n;
          let at = 0n;
          for (const { push, pull } of steps) {
            for (let n = 0; n < push; n++) buffer.push(event((written += 3n)));
            // A reader that fell behind the buffer reads elsewhere, up to its end.
            if (!buffer.covers(at)) {
              at = written;
              continue;
            }
            const page = buffer.after(at, all, pull);
            const expected = Array.from(
              { length: Math.min(pull, Number(written - at) / 3) },
              (_, n) => at + 3n * BigInt(n + 1),
            );
            expect(positions(page.events)).toEqual(expected);
            at = page.position;
          }
        },
      ),
      { numRuns: 60 },
    );
  });
});
