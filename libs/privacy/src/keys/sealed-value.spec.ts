import { randomBytes } from 'node:crypto';

import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import type { Envelope } from '#libs/event-store/src/opener.js';
import { ERASED, EVERY, type FieldPath, mapAt, SEALED } from '#libs/events/src/personal/field-path.js';
import { uuid7 } from '#libs/kernel/src/ids.js';
import { ExactNumber } from '#libs/kernel/src/text/exact-json.js';

import { type FindKey, keysOf, openAll, openText, seal } from './sealed-value.js';

const newEnvelope = (): Envelope => ({
  id: uuid7(),
  type: 'message.received',
  metadata: { source: 'slack', subject: 'channel/C1', orgId: 'org_1', timestamp: '2026-11-20T09:00:00.000Z' },
});
const newKeys = (count = 1) => {
  const keys = new Map(
    Array.from({ length: count }, () => [randomBytes(9).toString('base64url'), randomBytes(32)] as const),
  );
  const names = [...keys.keys()].sort();
  const find: FindKey = (name) => keys.get(name);
  return { names, find, bytes: names.map((name) => keys.get(name)!), keys };
};

/** Paths into random values, some of which lead somewhere. */
const step = fc.oneof(fc.constantFrom('a', 'b', 'list'), fc.constant(EVERY));
const anyPath: fc.Arbitrary<FieldPath> = fc.array(step, { minLength: 1, maxLength: 3 });
const { value: anyValue } = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.string({ unit: 'grapheme' }),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => (number === 0 ? 0 : number)),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom('a', 'b', 'list'), tie('value'), { maxKeys: 3 }),
  ),
}));
const anyData = fc.dictionary(fc.constantFrom('a', 'b', 'list'), anyValue, { maxKeys: 3 });

describe('encrypted values', () => {
  it('give back any data at any paths while all keys are there, and nothing of it after', () => {
    fc.assert(
      fc.property(
        anyData,
        fc.array(anyPath, { maxLength: 4 }),
        fc.integer({ min: 1, max: 3 }),
        (data, paths, count) => {
          const envelope = newEnvelope();
          const { names, bytes, find, keys } = newKeys(count);
          const places: string[] = [];
          const cover = (value: unknown, place: readonly string[]) => {
            places.push(place.join('/'));
            return seal(value, envelope, place, names, bytes);
          };
          const stored = paths.reduce<unknown>((value, path) => mapAt(value, path, cover), data);
          expect(openAll(stored, envelope, find)).toEqual(data);
          keys.delete(names[count - 1]!);
          const after = openAll(stored, envelope, find);
          for (const place of places) expect(JSON.stringify(at(after, place.split('/')))).toBe(JSON.stringify(ERASED));
        },
      ),
    );
  });

  it('keep numbers as they were written', () => {
    const { names, bytes, find } = newKeys();
    const envelope = newEnvelope();
    const text = seal({ big: new ExactNumber('12345678901234567890') }, envelope, ['x'], names, bytes);
    expect(openAll({ x: text }, envelope, find)).toEqual({ x: { big: new ExactNumber('12345678901234567890') } });
  });

  it('open only where they were written: not in another event, nor in another field', () => {
    const { names, bytes, find } = newKeys();
    const envelope = newEnvelope();
    const text = seal('jane', envelope, ['x'], names, bytes);
    expect(openAll({ x: text }, envelope, find)).toEqual({ x: 'jane' });
    expect(openAll({ y: text }, envelope, find)).toEqual({ y: text });
    expect(openAll({ x: text }, newEnvelope(), find)).toEqual({ x: text });
    const { metadata } = envelope;
    const moved = { ...envelope, metadata: { ...metadata, orgId: 'org_2' } };
    expect(openAll({ x: text }, moved, find)).toEqual({ x: text });
  });

  it('do not open once a byte was changed', () => {
    const { names, bytes, find } = newKeys();
    const text = seal('jane', newEnvelope(), ['x'], names, bytes);
    const stored = Buffer.from(text.slice(SEALED.length), 'base64url');
    for (let at = 12; at < stored.length; at++) {
      const changed = Buffer.from(stored);
      changed[at]! ^= 1;
      expect(openText(SEALED + changed.toString('base64url'), find)).not.toBe('jane');
    }
  });

  it('name their keys, and leave other texts alone', () => {
    const { names, bytes, find } = newKeys(2);
    expect(keysOf(seal('jane', newEnvelope(), ['x'], names, bytes))).toEqual(names);
    for (const text of ['', 'jane', SEALED, `${SEALED}AAAA`, `${SEALED}???`, `${SEALED}AQABAAAA`]) {
      expect(keysOf(text)).toEqual([]);
      expect(openText(text, find)).toBe(text);
    }
  });
});

/** What is around it may have been encrypted as a whole, later. */
const at = (value: unknown, place: readonly string[]): unknown =>
  place.reduce<unknown>(
    (part, key) => (JSON.stringify(part) === JSON.stringify(ERASED) ? part : (part as Record<string, unknown>)[key]),
    value,
  );
