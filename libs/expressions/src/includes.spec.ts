import { afterEach, describe, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';

import { compile } from './compile.js';
import { includes } from './includes.js';
import { Cost } from './values.js';

afterEach(() => {
  jest.restoreAllMocks();
});

describe('looking for a part of a text', () => {
  it('finds what the engine finds', () => {
    const part = (letters: string) => fc.string({ unit: fc.constantFrom(...letters), maxLength: 40 });
    // Few letters, and the same ones again and again: parts that fit nearly everywhere.
    const long = fc.tuple(part('ab'), part('abc'), fc.nat(12)).map(([one, other, times]) => one.repeat(times) + other);
    const given = fc.tuple(fc.array(long, { maxLength: 6 }), long, fc.boolean()).map(([parts, other, isIn]) => {
      const text = parts.join('');
      return { text, part: isIn ? text.slice(Math.min(other.length, text.length >> 1)).slice(0, 200) : other };
    });
    let found = 0;
    fc.assert(
      fc.property(given, (one) => {
        if (one.part.length > 64 && one.text.includes(one.part)) found++;
        expect(includes(one.text, one.part, new Cost())).toBe(one.text.includes(one.part));
      }),
      { numRuns: 500 },
    );
    expect(found).toBeGreaterThan(20);
  });

  it('finds half a character, as the engine does', () => {
    const smileys = '\u{1f600}'.repeat(100);
    expect(includes(smileys, smileys.slice(1, -1), new Cost())).toBe(true);
    expect(includes(smileys, `${smileys.slice(1, -1)}x`, new Cost())).toBe(false);
  });

  it('is linear: the engine, which is not, is never asked for a long part', () => {
    const contains = (text: string, part: string) => compile('contains(text, part)').test({ text, part });
    const native = jest.spyOn(String.prototype, 'includes');
    const half = 'a'.repeat(75_000);
    expect(contains('a'.repeat(300_000), `${half}b${half}`)).toBe(false);
    expect(contains(`${'a'.repeat(300_000)}b${half}`, `${half}b${half}`)).toBe(true);
    expect(native.mock.calls.filter(([part]) => part.length > 64)).toEqual([]);
  });
});
