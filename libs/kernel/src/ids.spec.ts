import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { derivedId, isUuid, newId, publicId, uuid5, uuid7, uuid8, uuidOf } from './ids.js';

describe('a public id', () => {
  it('holds the same 128 bits as its UUID, both ways', () => {
    fc.assert(
      fc.property(fc.uuid({ version: [5, 7] }), (uuid) => {
        const id = publicId('evt', uuid);
        expect(id).toMatch(/^evt_[0-9a-hjkmnp-tv-z]{26}$/);
        expect(uuidOf('evt', id)).toBe(uuid);
      }),
    );
  });

  it('keeps the order of its UUIDs, so that newer ids sort later', () => {
    fc.assert(
      fc.property(fc.uuid(), fc.uuid(), (a, b) => {
        expect(publicId('run', a) < publicId('run', b)).toBe(a < b);
      }),
    );
  });

  it('writes the extremes of the range', () => {
    expect(publicId('evt', '00000000-0000-0000-0000-000000000000')).toBe('evt_00000000000000000000000000');
    expect(publicId('evt', 'ffffffff-ffff-ffff-ffff-ffffffffffff')).toBe('evt_7zzzzzzzzzzzzzzzzzzzzzzzzz');
  });

  it.each([
    ['another prefix', 'run_00000000000000000000000000'],
    ['a character too few', 'evt_0000000000000000000000000'],
    ['a character outside the alphabet', 'evt_0000000000000000000000000u'],
    ['more than 128 bits', 'evt_80000000000000000000000000'],
    ['upper case', 'evt_0000000000000000000000000A'],
    ['nothing', ''],
  ])('is refused with %s', (_, text) => {
    expect(uuidOf('evt', text)).toBeUndefined();
  });
});

describe('a new UUID', () => {
  it('is version 7, and later ones are greater, also within one millisecond', () => {
    const ids = Array.from({ length: 10_000 }, () => uuid7(1_700_000_000_000));
    expect(ids.every(isUuid)).toBe(true);
    expect(ids.every((id) => id[14] === '7' && '89ab'.includes(id[19]!))).toBe(true);
    expect([...ids].sort()).toEqual(ids);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('does not go back when the clock does', () => {
    const before = uuid7(1_900_000_000_000);
    expect(uuid7(1_800_000_000_000) > before).toBe(true);
  });

  it('carries the time in its first 48 bits', () => {
    const now = 1_950_000_000_123;
    expect(Number.parseInt(uuid7(now).replaceAll('-', '').slice(0, 12), 16)).toBe(now);
  });
});

describe('a derived id', () => {
  it('is the same for the same cause and differs for any other', () => {
    expect(uuid5('a', 'b')).toBe(uuid5('a', 'b'));
    expect(uuid5('a', 'b')).not.toBe(uuid5('b', 'a'));
    expect(derivedId('del', 'x')).toBe(derivedId('del', 'x'));
  });

  it('does not confuse where one part ends and the next begins', () => {
    expect(uuid5('a', 'bc')).not.toBe(uuid5('ab', 'c'));
    expect(uuid5('a', '')).not.toBe(uuid5('a'));
  });

  it('never changes from one release to the next, since streams are named by it', () => {
    expect(uuid5('inbound', 'int_1', '72d3162e')).toBe('8d2b73ca-7e0b-51bd-87d7-3b198289b145');
    expect(uuid5('x')[14]).toBe('5');
  });
});

describe('an id derived with a secret', () => {
  it('is the same for the same secret and cause, and differs with either', () => {
    const id = uuid8('secret', 'a', 'b');
    expect(uuid8('secret', 'a', 'b')).toBe(id);
    expect(new Set([id, uuid8('other', 'a', 'b'), uuid8('secret', 'b', 'a'), uuid8('secret', 'ab')]).size).toBe(4);
    expect(isUuid(id)).toBe(true);
    expect(id[14]).toBe('8');
  });
});

describe('new ids', () => {
  it('do not repeat', () => {
    expect(new Set(Array.from({ length: 1000 }, () => newId('whk'))).size).toBe(1000);
  });
});
