import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { parseJson } from './text/exact-json.js';
import { canonicalJson, keyText, pointerToken } from './json.js';

describe('canonical JSON', () => {
  it('gives equal texts for equal values, whatever the order of keys', () => {
    expect(canonicalJson({ b: 1, a: { d: [1, { y: 2, x: 1 }], c: null } })).toBe(
      canonicalJson({ a: { c: null, d: [1, { x: 1, y: 2 }] }, b: 1 }),
    );
  });

  it('is JSON that reads back as the value', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  it('leaves out what JSON leaves out', () => {
    expect(canonicalJson({ a: undefined, b: 1 })).toBe('{"b":1}');
  });
});

describe('a key', () => {
  it('is the string itself, unless that is JSON', () => {
    expect(['a', '', 'evt 1', '1x', '1', 'true', '"a"', '[1]', 'null'].map(keyText)).toEqual([
      'a',
      '',
      'evt 1',
      '1x',
      '"1"',
      '"true"',
      '"\\"a\\""',
      '"[1]"',
      '"null"',
    ]);
    expect([1, true, null, [1], { b: 1, a: 2 }].map(keyText)).toEqual(['1', 'true', 'null', '[1]', '{"a":2,"b":1}']);
  });

  it('is the same for equal numbers, and another for any other', () => {
    const keys = (...texts: string[]): string[] => texts.map((text) => keyText(parseJson(text)));
    expect(new Set(keys('1', '1.0', '1e0', '10e-1')).size).toBe(1);
    expect(new Set(keys('7615917337495251231', '7615917337495251231.0', '76159173374952512310e-1')).size).toBe(1);
    expect(new Set(keys('7615917337495251231', '7615917337495251232', '1e400', '1e401', 'null')).size).toBe(5);
    expect(keyText(parseJson('[7615917337495251231]'))).not.toBe(keyText(parseJson('[7615917337495251232]')));
  });

  it('differs wherever values differ', () => {
    const value = fc.oneof(
      fc.jsonValue(),
      fc.jsonValue().map((one) => JSON.stringify(one)),
      fc.string(),
    );
    fc.assert(
      fc.property(value, value, (one, other) => {
        const same = canonicalJson(one) === canonicalJson(other);
        expect(keyText(one) === keyText(other)).toBe(same);
      }),
    );
  });
});

describe('a pointer token', () => {
  it('escapes what RFC 6901 reserves, tilde first', () => {
    expect(pointerToken('a/b~c')).toBe('a~1b~0c');
    expect(pointerToken('~1')).toBe('~01');
    expect(pointerToken(3)).toBe('3');
  });
});
