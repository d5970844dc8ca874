import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { excerpt, EXCERPT_LENGTH, inWords } from './excerpt.js';

describe('an excerpt', () => {
  it('is the value itself when its JSON is short', () => {
    for (const value of [null, 0, true, 'text', [1, { a: null }], {}]) expect(excerpt(value)).toBe(value);
    expect(excerpt(undefined)).toBeNull();
  });

  it('is the beginning of the JSON when it is long', () => {
    const cut = excerpt({ a: 'x'.repeat(300) }) as string;
    expect(cut).toHaveLength(EXCERPT_LENGTH);
    expect(cut).toMatch(/^\{"a":"x+…$/);
    expect(excerpt('y'.repeat(201))).toBe(`${'y'.repeat(199)}…`);
  });

  it('is made of what is nested deeper than the stack', () => {
    let deep: unknown = 1;
    for (let i = 0; i < 200_000; i++) deep = i % 2 === 0 ? [deep] : { deep };
    expect(excerpt(deep)).toHaveLength(EXCERPT_LENGTH);
  });

  it('costs the same for a value of megabytes', () => {
    let looks = 0;
    const watched = <T extends object>(value: T): T =>
      new Proxy(value, {
        get: (target, key) => (looks++, Reflect.get(target, key) as unknown),
        ownKeys: (target) => ((looks += Object.keys(target).length), Reflect.ownKeys(target)),
      });
    expect(excerpt(watched(Array<number>(1_000_000).fill(1)))).toHaveLength(EXCERPT_LENGTH);
    expect(looks).toBeLessThan(1_000);
  });

  it('stays within its limit and is text that JSON can keep, whatever the value', () => {
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue({ maxDepth: 8 }), fc.string({ unit: 'grapheme', minLength: 150 })), (value) => {
        const kept = excerpt(value);
        expect(typeof kept === 'string' ? kept.length : JSON.stringify(kept).length).toBeLessThanOrEqual(
          EXCERPT_LENGTH,
        );
        expect(typeof kept !== 'string' || !/[\ud800-\udbff](?![\udc00-\udfff])/.test(kept)).toBe(true);
        expect(inWords(value).length).toBeLessThanOrEqual(EXCERPT_LENGTH);
      }),
      { numRuns: 200 },
    );
  });

  it('writes short values as JSON does', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 3 }), (value) => {
        const json = JSON.stringify(value);
        fc.pre(json.length <= EXCERPT_LENGTH);
        expect(inWords(value)).toBe(json);
      }),
    );
  });
});
