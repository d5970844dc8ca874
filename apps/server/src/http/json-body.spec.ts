import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { Rejected } from '#libs/kernel/src/errors.js';
import { parseAsWritten, stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { anyCharacter } from '#libs/kernel/testing/any-character.js';

import { MalformedRequest, readJsonBody } from './json-body.js';

const refusal = (text: string): Rejected => {
  try {
    readJsonBody(text);
  } catch (error) {
    if (error instanceof Rejected) return error;
    throw error;
  }
  throw new Error(`${text} was read`);
};

describe('the body of a request', () => {
  it('keeps numbers of any length', () => {
    const text = '{"a":7615917337495251231,"b":[1e400,1]}';
    expect(stringifyJson(readJsonBody(text))).toBe(text);
  });

  it('keeps the spelling of numbers where it is passed on', () => {
    const text = '{"a":1.50,"b":[2.0e3,-0.0,7615917337495251231]}';
    expect(stringifyJson(readJsonBody(text, parseAsWritten))).toBe(text);
    expect(readJsonBody('{"a":1.50}')).toEqual({ a: 1.5 });
  });

  it('may begin with a byte order mark', () => {
    expect(readJsonBody('\ufeff{"a":1}')).toEqual({ a: 1 });
  });

  it('is read whole, or refused with the place of each text that cannot be stored', () => {
    const key = fc.string({ unit: anyCharacter });
    fc.assert(
      fc.property(fc.jsonValue({ depthSize: 'medium' }), fc.dictionary(key, key), (value, texts) => {
        const given = { value, ...texts };
        fc.pre(!JSON.stringify(given).includes('"__proto__"'));
        const bad = JSON.stringify(given).match(/(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/);
        if (bad) expect(refusal(JSON.stringify(given)).code).toBe('request.bad_text');
        else expect(readJsonBody(JSON.stringify(given))).toEqual(JSON.parse(JSON.stringify(given)));
      }),
    );
  });

  it('names the texts that cannot be stored', () => {
    const { kind, problems } = refusal('{"a":["x","\\u0000"],"b":{"c/d":"\\ud800"},"\\udfff":1}');
    expect(kind).toBe('invalid');
    expect(problems.map(({ pointer }) => pointer).sort()).toEqual(['', '/a/1', '/b/c~1d']);
  });

  it.each([
    ['is cut off', '{"a":'],
    ['is nested deeper than 64 levels', '['.repeat(65) + ']'.repeat(65)],
    ['is nested without end', '['.repeat(100_000) + ']'.repeat(100_000)],
    ['changes what an object is', '{"a":[{"__proto__":{}}]}'],
  ])('is malformed if it %s', (_, text) => {
    expect(() => readJsonBody(text)).toThrow(MalformedRequest);
  });

  it('may be nested 64 levels deep', () => {
    const text = '['.repeat(64) + ']'.repeat(64);
    expect(stringifyJson(readJsonBody(text))).toBe(text);
  });
});
