import { describe, expect, it, test } from '@jest/globals';
import fc from 'fast-check';

import { anyCharacter } from '#libs/kernel/testing/any-character.js';

import {
  canonicalNumber,
  compareNumbers,
  ExactNumber,
  isExactNumber,
  mayHoldExactNumbers,
  parseAsWritten,
  parseJson,
  rounded,
  scalarKey,
  stringifyJson,
  withHeldNumbers,
} from './exact-json.js';

/** Any number that JSON can hold, as JSON writes it. */
const anyNumber = fc
  .record({
    minus: fc.boolean(),
    whole: fc.oneof(
      fc.constant('0'),
      fc.stringMatching(/^[1-9]\d{0,3}$/),
      fc.stringMatching(/^[1-9]\d{13,40}$/),
      fc.stringMatching(/^[1-9]\d{300,400}$/),
    ),
    fraction: fc.oneof(fc.constant(''), fc.stringMatching(/^\.\d{1,3}$/), fc.stringMatching(/^\.\d{14,40}$/)),
    power: fc.oneof({ weight: 3, arbitrary: fc.constant('') }, fc.stringMatching(/^[eE][-+]?\d{1,4}$/)),
  })
  .map(({ minus, whole, fraction, power }) => `${minus ? '-' : ''}${whole}${fraction}${power}`);

/** The value of a number as a fraction of bigints: what exact means. */
function valueOf(text: string): readonly [numerator: bigint, denominator: bigint] {
  const [, sign, whole = '', fraction = '', power = '0'] = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([-+]?\d+))?$/.exec(text)!;
  const numerator = BigInt(whole + fraction) * (sign ? -1n : 1n);
  const exponent = Number(power) - fraction.length;
  return exponent >= 0 ? [numerator * 10n ** BigInt(exponent), 1n] : [numerator, 10n ** BigInt(-exponent)];
}

const difference = (a: string, b: string): number => {
  const [[n, d], [m, e]] = [valueOf(a), valueOf(b)];
  const [left, right] = [n * e, m * d];
  return left < right ? -1 : left > right ? 1 : 0;
};

const anyDocument = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    anyNumber,
    fc.string({ unit: anyCharacter }).map((text) => JSON.stringify(text)),
    fc.constantFrom('true', 'false', 'null'),
    fc.array(tie('value')).map((items) => `[${items.join(',')}]`),
    fc
      .uniqueArray(fc.tuple(fc.string(), tie('value')), { selector: ([key]) => key })
      .map((entries) => `{${entries.map(([key, value]) => `${JSON.stringify(key)}: ${String(value)}`).join(', ')}}`),
  ),
})).value;

describe('a number', () => {
  test.each(['7615917337495251231', '1e400', '-1e-400', '0.12345678901234567890', '12345678901234567168'])(
    '%s is written with the digits that were read',
    (text) => {
      expect(stringifyJson(parseJson(`{"id":${text}}`))).toBe(`{"id":${text}}`);
      expect(stringifyJson(parseJson(text))).toBe(text);
    },
  );

  test.each(['0', '-1', '1.5', '9007199254740991', '1e3', '2.50', '100000000000000000000'])(
    '%s, which JavaScript keeps, stays a JavaScript number',
    (text) => expect(parseJson(`[${text}]`)).toEqual([Number(text)]),
  );

  test.each([
    '1.0',
    '1.50',
    '-0',
    '1E2',
    '1e3',
    '0.0000001',
    '0.10',
    '-0.0',
    '10000000000000000000000',
    '7615917337495251231',
    '1e400',
  ])('%s keeps its digits where it is only passed on', (text) => {
    expect(stringifyJson(parseAsWritten(`{"a": [${text}]}`))).toBe(`{"a":[${text}]}`);
    expect(stringifyJson(parseAsWritten(text))).toBe(text);
  });

  test('of any length keeps its digits where it is only passed on', () => {
    fc.assert(
      fc.property(anyNumber, (text) => {
        expect(stringifyJson(parseAsWritten(`{"a":[1,${text}]}`))).toBe(`{"a":[1,${text}]}`);
      }),
    );
  });

  test('is one key with every other way to write it', () => {
    const keysOf = (...texts: string[]) => new Set(texts.map((text) => scalarKey(parseAsWritten(text))));
    expect(keysOf('1', '1.0', '1e0', '10e-1')).toEqual(new Set([1]));
    expect(keysOf('7615917337495251231', '7615917337495251231.0', '761591733749525123.1e1').size).toBe(1);
    expect(keysOf('7615917337495251231', '7615917337495251232', '7615917337495251000').size).toBe(3);
  });

  test('is a JavaScript number for a program that looks at types, where JavaScript holds it', () => {
    const held = withHeldNumbers(parseAsWritten('[1.0, 7615917337495251231]')) as unknown[];
    expect(held).toEqual([1, new ExactNumber('7615917337495251231')]);
    expect(rounded(parseAsWritten('[1.0, 7615917337495251231]'))).toEqual([1, 7615917337495251000]);
  });

  test('of any length keeps its value through reading and writing', () => {
    fc.assert(
      fc.property(anyNumber, (text) => {
        expect(difference(stringifyJson(parseJson(text)), text)).toBe(0);
      }),
    );
  });

  test('is ordered by its exact value, and equal only to what is the same number', () => {
    fc.assert(
      fc.property(anyNumber, anyNumber, fc.boolean(), (a, other, same) => {
        const b = same ? a.replace(/(\d)$/, (digit) => String((Number(digit) + 1) % 10)) : other;
        const compared = compareNumbers(parseJson(a) as ExactNumber, parseJson(b) as ExactNumber);
        // Minus zero and zero are as far apart as zero and zero.
        expect(Math.sign(compared) + 0).toBe(difference(a, b));
        const keys = [a, b].map((text) => canonicalNumber(new ExactNumber(text)));
        expect(keys[0] === keys[1]).toBe(difference(a, b) === 0);
      }),
    );
  });

  test('with a power of many digits is told apart, at once', () => {
    const [a, b] = [`1e${'9'.repeat(500_000)}`, `1e${'9'.repeat(499_999)}8`].map((text) => new ExactNumber(text));
    expect(compareNumbers(a!, b!)).not.toBe(0);
    expect(canonicalNumber(a!)).not.toBe(canonicalNumber(b!));
    expect(compareNumbers(a!, new ExactNumber(a!.text))).toBe(0);
  });

  test('is the nearest JavaScript number for whoever computes with it', () => {
    expect(Number(new ExactNumber('7615917337495251231'))).toBe(7615917337495251000);
    expect(JSON.stringify({ id: new ExactNumber('7615917337495251231') })).toBe('{"id":7615917337495251000}');
  });
});

describe('a document', () => {
  test('is read as JSON.parse reads it, but for numbers that JavaScript changes', () => {
    fc.assert(
      fc.property(anyDocument, (text) => {
        const plain = (value: unknown): unknown =>
          isExactNumber(value)
            ? Number(value)
            : Array.isArray(value)
              ? value.map(plain)
              : typeof value === 'object' && value !== null
                ? Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]))
                : value;
        expect(plain(parseJson(text))).toEqual(plain(JSON.parse(text)));
      }),
    );
  });

  test('is looked at exactly wherever JavaScript would change a number', () => {
    fc.assert(
      fc.property(anyDocument, (text) => {
        if (stringifyJson(parseJson(text)) !== JSON.stringify(JSON.parse(text)))
          expect(mayHoldExactNumbers(text)).toBe(true);
      }),
    );
  });

  test('may hold texts that look like numbers or like anything else', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.string({ unit: anyCharacter }), anyNumber)), (texts) => {
        const json = JSON.stringify([...texts, 1]).replace(/1\]$/, '12345678901234567890]');
        expect((parseJson(json) as unknown[]).slice(0, -1)).toEqual(texts);
      }),
    );
  });

  it('that is not JSON is refused as JSON.parse refuses it', () => {
    for (const text of [
      '[12345678901234567890',
      '012345678901234567890',
      '12345678901234567890.',
      '{"a":1e400,}',
      '{12345678901234567890:1}',
    ])
      expect(() => parseJson(text)).toThrow(SyntaxError);
  });

  it('with a million digits is read in no time to speak of', () => {
    const text = `{"a":1${'0'.repeat(500_000)}1${'0'.repeat(500_000)}}`;
    expect(stringifyJson(parseJson(text))).toBe(text);
  });
});
