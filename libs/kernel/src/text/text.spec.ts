import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { isUuid } from '../ids.js';
import { beginning, indexKey, isStorable, storable, storableJson } from './text.js';

/** Any sequence of UTF-16 units: NUL and halves of surrogate pairs among them. */
const anyText = fc
  .array(fc.oneof(fc.integer({ min: 0, max: 0xffff }), fc.constantFrom(0, 0x5c, 0x75, 0xd83d, 0xde00)), {
    maxLength: 20,
  })
  .map((units) => String.fromCharCode(...units));

describe('a text', () => {
  it('is storable without NUL and without halves of surrogate pairs', () => {
    expect(['', 'plain', '😀', '\u0001', '\uffff'].every(isStorable)).toBe(true);
    expect(['a\0', '\ud83d', 'a\ude00b', '\ude00\ud83d'].some(isStorable)).toBe(false);
  });

  it('is made storable by replacing what is not', () => {
    expect(storable('a\0b\ud83dc')).toBe('a\ufffdb\ufffdc');
    fc.assert(
      fc.property(anyText, (text) => {
        expect(isStorable(storable(text))).toBe(true);
        expect(storable(text)).toHaveLength(text.length);
        if (isStorable(text)) expect(storable(text)).toBe(text);
      }),
    );
  });

  it('is made storable inside JSON, and nothing else of it changes', () => {
    fc.assert(
      fc.property(fc.dictionary(anyText, fc.oneof(anyText, fc.array(anyText), fc.double())), (value) => {
        const stored = storableJson(JSON.stringify(value));
        const made = JSON.stringify(value, (_, part: unknown) =>
          typeof part === 'string'
            ? storable(part)
            : part !== null && typeof part === 'object' && !Array.isArray(part)
              ? Object.fromEntries(Object.entries(part).map(([key, one]) => [storable(key), one as unknown]))
              : part,
        );
        expect(JSON.parse(stored)).toEqual(JSON.parse(made));
      }),
    );
    expect(storableJson('{"a":"\\\\u0000 \\u0000"}')).toBe('{"a":"\\\\u0000 \ufffd"}');
  });

  it('begins with whole characters', () => {
    expect(beginning('abc', 3)).toBe('abc');
    expect(beginning('abcd', 3)).toBe('abc');
    expect(beginning('ab😀', 3)).toBe('ab');
    expect(beginning('ab😀', 4)).toBe('ab😀');
  });

  it('is a key of an index as it is, or by its hash', () => {
    expect(indexKey('throttle', 'repository/acme')).toBe('repository/acme');
    const odd = ['x'.repeat(201), 'a\0', '\ud83d', '\ude00'].map((key) => indexKey('throttle', key));
    expect(odd.every(isUuid)).toBe(true);
    expect(new Set(odd).size).toBe(4);
  });
});
