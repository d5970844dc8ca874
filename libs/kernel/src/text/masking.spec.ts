import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { parseAsWritten } from './exact-json.js';
import { masker } from './masking.js';

const secret = fc.string({ minLength: 8, maxLength: 60, unit: 'grapheme' }).filter((text) => text.length >= 8);
const around = fc.string({ maxLength: 20, unit: 'grapheme-ascii' });

describe('masking', () => {
  const ways: readonly (readonly [string, (text: string) => string])[] = [
    ['as it is', (text) => text],
    ['in JSON', (text) => JSON.stringify({ text })],
    ['in JSON in a text of JSON', (text) => JSON.stringify([JSON.stringify({ text })])],
    ['in JSON three times', (text) => JSON.stringify([JSON.stringify([JSON.stringify({ text })])])],
    ['in a URL', (text) => encodeURIComponent(text)],
    ['in a form', (text) => new URLSearchParams({ text }).toString()],
    ['in hexadecimal', (text) => Buffer.from(text).toString('hex')],
    ['as bytes', (text) => Buffer.from(text).toString('latin1')],
  ];
  it.each(ways)('finds a secret %s', (_, spelled) => {
    fc.assert(
      fc.property(
        secret.filter((text) => Buffer.from(text).toString() === text),
        around,
        around,
        (hidden, before, after) => {
          const masked = masker([hidden]).text(spelled(before + hidden + after));
          expect(masked).toContain('***');
          expect(masked).not.toContain(spelled(hidden).replace(/^text=|^\{"text":"|"\}$/g, ''));
        },
      ),
    );
  });

  it.each(['base64', 'base64url'] as const)('finds a secret in the %s of a longer text, wherever it begins', (way) => {
    fc.assert(
      fc.property(secret, around, around, (hidden, before, after) => {
        const kept = masker([hidden]).text(Buffer.from(before + hidden + after).toString(way));
        expect(kept).toContain('***');
        // What is left decodes to nothing of the secret but parts of its first and last character.
        expect(kept.replace('***', '').length).toBeLessThanOrEqual(
          Math.ceil((Buffer.byteLength(before + after) * 8) / 6) + 6,
        );
      }),
    );
  });

  it('finds each line of a secret of several lines, and no line that is too short to tell', () => {
    const key = '-----BEGIN KEY-----\nabcdefghijkl\r\nshort\n';
    expect(masker([key]).text('at abcdefghijkl: short')).toBe('at ***: short');
  });

  it('looks into lists, objects, their keys and numbers, and leaves everything else as it is', () => {
    const value = parseAsWritten('{"a":["x 12345678 y",12345678,1234567.8],"12345678":{"b":null,"c":true,"d":1.50}}');
    const text = JSON.stringify(masker(['12345678']).value(value));
    expect(JSON.parse(text)).toEqual({ a: ['x *** y', '***', 1234567.8], '***': { b: null, c: true, d: 1.5 } });
    const other = { a: [1, { b: 'c' }] };
    expect(masker(['12345678']).value(other)).toBe(other);
  });

  it('masks the longer of two secrets where one holds the other', () => {
    expect(masker(['password', 'password-of-mine']).text('password-of-mine, password')).toBe('***, ***');
  });

  it('never makes a text longer, and changes nothing without secrets', () => {
    fc.assert(
      fc.property(fc.array(secret), fc.string(), (secrets, text) => {
        expect(masker(secrets).text(text).length).toBeLessThanOrEqual(text.length);
        expect(masker([]).text(text)).toBe(text);
      }),
    );
  });
});
