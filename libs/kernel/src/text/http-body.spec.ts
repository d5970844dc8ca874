import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';

import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { readHttpBody } from './http-body.js';

const MAX = 64 * 1024;
const read = (body: Buffer | string, contentType?: string, more: Record<string, string> = {}, truncated = false) =>
  readHttpBody(
    {
      headers: { ...(contentType !== undefined && { 'content-type': contentType }), ...more },
      body: Buffer.from(body),
      truncated,
    },
    MAX,
  );
const text = (value: string, isJson = false, isCut = false) => ({ kind: 'text', text: value, isJson, isCut });
const latin1 = (value: string) => Buffer.from(value, 'latin1');
const utf16be = (value: string) => Buffer.from(value, 'utf16le').swap16();

describe('the body of an HTTP message', () => {
  it('may be empty', async () => {
    expect(await read('')).toEqual({ kind: 'empty', isCut: false });
    expect(await read('', 'application/json', { 'content-encoding': 'gzip' })).toEqual({ kind: 'empty', isCut: false });
  });

  it.each<[string, Buffer | string, string | undefined, object]>([
    ['JSON', '{"a":"ü"}', 'application/json', text('{"a":"ü"}', true)],
    ['JSON of a vendor', '{}', 'application/vnd.github+json; charset=utf-8', text('{}', true)],
    ['JSON with a byte order mark', '\ufeff{"a":1}', 'application/json', text('{"a":1}', true)],
    ['JSON in UTF-16', Buffer.from('\ufeff{"a":1}', 'utf16le'), 'application/json', text('{"a":1}', true)],
    ['JSON in UTF-16, the other way', utf16be('\ufeff{"a":1}'), 'application/json', text('{"a":1}', true)],
    ['JSON in Latin-1', latin1('"é"'), 'application/json; charset=iso-8859-1', text('"é"', true)],
    ['JSON in Latin-1 that does not say so', latin1('"é"'), 'application/json', text('"é"', true)],
    ['a text in Latin-1', latin1('café'), 'text/plain; charset=ISO-8859-1', text('café')],
    ['a charset in quotes', latin1('café'), 'text/plain; Charset="latin1"', text('café')],
    ['a text in windows-1251', Buffer.from([0xcf, 0xf0]), 'text/html;charset=windows-1251', text('Пр')],
    ['a text in Shift JIS', Buffer.from([0x83, 0x65]), 'text/plain; charset=Shift_JIS', text('テ')],
    ['a text that names the wrong charset', latin1('café'), 'text/plain; charset=utf-8', text('café')],
    ['a text that names no charset there is', 'é', 'text/plain; charset=nonsense', text('é')],
    [
      'XML that names its encoding',
      latin1('<?xml version="1.0" encoding="ISO-8859-1"?><a>é</a>'),
      'application/xml',
      text('<?xml version="1.0" encoding="ISO-8859-1"?><a>é</a>'),
    ],
    [
      'HTML that names its charset',
      Buffer.from([...latin1('<meta charset=windows-1251>'), 0xcf]),
      'text/html',
      text('<meta charset=windows-1251>П'),
    ],
    ['a form', 'a=1&b=2', 'application/x-www-form-urlencoded', text('a=1&b=2')],
    ['a vector image', '<svg/>', 'image/svg+xml', text('<svg/>')],
    ['a text without a type', 'hello', undefined, text('hello')],
    ['a text of an unknown type', 'é\t\n\x1b[0m', 'application/x-thing', text('é\t\n\x1b[0m')],
    ['a type that is none', 'x', ';;;', text('x')],
  ])('is read by its headers: %s', async (_, body, type, expected) => {
    expect(await read(body, type)).toEqual(expected);
  });

  it.each<[string, Buffer, string | undefined, string]>([
    ['an image', Buffer.from([0x89, 0x50, 0x4e, 0x47, 0, 255]), 'image/png', 'image/png'],
    ['bytes that could be a text', Buffer.from('GIF89a'), 'image/gif', 'image/gif'],
    ['an octet stream', Buffer.from('abc'), 'application/octet-stream', 'application/octet-stream'],
    ['a document', Buffer.from('%PDF'), 'application/pdf; version=1.4', 'application/pdf'],
    ['bytes without a type', Buffer.from([1, 2, 3, 0]), undefined, ''],
    ['bytes of an unknown type', Buffer.from([0xff, 0xfd, 0xc0]), 'application/x-thing', 'application/x-thing'],
  ])('is binary: %s', async (_, bytes, type, contentType) => {
    expect(await read(bytes, type)).toEqual({ kind: 'binary', bytes, contentType, isCut: false });
  });

  it.each<[string, Buffer]>([
    ['gzip', gzipSync('{"a":1}')],
    ['x-gzip', gzipSync('{"a":1}')],
    ['GZIP', gzipSync('{"a":1}')],
    ['deflate', deflateSync('{"a":1}')],
    ['deflate', deflateRawSync('{"a":1}')],
    ['br', brotliCompressSync('{"a":1}')],
    ['br, gzip', gzipSync(brotliCompressSync('{"a":1}'))],
    ['identity', Buffer.from('{"a":1}')],
    ['UTF-8', Buffer.from('{"a":1}')],
    ['gzip, identity', gzipSync('{"a":1}')],
    // The header is wrong.
    ['gzip', Buffer.from('{"a":1}')],
    ['br', Buffer.from('{"a":1}')],
  ])('is unpacked: %s', async (encoding, body) => {
    expect(await read(body, 'application/json', { 'content-encoding': encoding })).toEqual(text('{"a":1}', true));
  });

  it('is left as it is where the packing is unknown', async () => {
    const body = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);
    expect(await read(body, 'application/json', { 'content-encoding': 'zstd' })).toEqual({
      kind: 'binary',
      bytes: body,
      contentType: 'application/json',
      isCut: false,
    });
  });

  it('is cut where it is too long, packed too well, damaged, or only its beginning came', async () => {
    const gzip = { 'content-encoding': 'gzip' };
    const long = 'x'.repeat(MAX + 1);
    const packed = gzipSync('y'.repeat(1_000) + 'é'.repeat(1_000));
    const damaged = Buffer.from(packed);
    damaged[damaged.length - 5]! ^= 0xff;
    const wrong = await Promise.all([
      read(long, 'text/plain'),
      read(gzipSync(long), 'text/plain', gzip),
      read(gzipSync(Buffer.alloc(50 * 1024 * 1024)), 'text/plain', gzip),
      read(packed.subarray(0, packed.length - 12), 'text/plain', gzip),
      read('abc', 'text/plain', {}, true),
    ]);
    for (const one of wrong) {
      expect(one).toMatchObject({ kind: 'text', isCut: true });
      expect((one as { text: string }).text.length).toBeGreaterThan(0);
      expect((one as { text: string }).text.length).toBeLessThanOrEqual(MAX);
    }
    expect(await read(damaged, 'text/plain', gzip)).toMatchObject({ kind: 'binary', bytes: damaged, isCut: true });
  });

  it('does not end in half a character', async () => {
    expect(await read(Buffer.from('aé').subarray(0, 2), 'text/plain', {}, true)).toEqual(text('a', false, true));
  });

  it('never fails, never replaces a character, and is read the same, packed or not', async () => {
    const type = fc.constantFrom(
      '',
      'text/plain',
      'application/json; charset=utf-16',
      'image/png',
      'x/y;charset=koi8-r',
    );
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 200 }), type, async (bytes, contentType) => {
        const body = Buffer.from(bytes);
        const plain = await read(body, contentType);
        if (plain.kind === 'text') expect(plain.text.includes('\ufffd')).toBe(false);
        else expect(plain).toMatchObject({ bytes: body });
        expect(await read(gzipSync(body), contentType, { 'content-encoding': 'gzip' })).toEqual(plain);
        await read(body, contentType, { 'content-encoding': 'br, deflate, gzip' });
      }),
      { numRuns: 500 },
    );
  });
});
