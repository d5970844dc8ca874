import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { headersOf, HttpFileError, parseHttpFile, writeHttpFile } from './http-file.js';

const parse = (text: string) => parseHttpFile(Buffer.from(text, 'latin1'));

describe('a saved request', () => {
  it('is a request line, headers, a blank line and a body', () => {
    const file = parse('POST /webhooks/{id}?a=b HTTP/1.1\nContent-Type: application/json\nX-A:  b c \n\n{"a":1}\n');
    expect(file).toMatchObject({
      method: 'POST',
      target: '/webhooks/{id}?a=b',
      headers: [
        ['content-type', 'application/json'],
        ['x-a', 'b c'],
      ],
    });
    expect(file.body.toString()).toBe('{"a":1}\n');
  });

  it.each([
    ['with CRLF in its head', 'POST / HTTP/1.1\r\na: b\r\n\r\nbody\r\n', 'body\r\n'],
    ['with comments before it', '# from the docs\n# of Acme\nPOST / HTTP/1.1\na: b\n\nbody', 'body'],
    ['without a version', 'POST /\na: b\n\nbody', 'body'],
    ['without a body', 'POST / HTTP/1.1\na: b\n\n', ''],
    ['with blank lines in the body', 'POST / HTTP/1.1\na: b\n\n\n\nx', '\n\nx'],
  ])('may be written %s', (_, text, body) => {
    const file = parse(text);
    expect(file.headers).toEqual([['a', 'b']]);
    expect(file.body.toString('latin1')).toBe(body);
  });

  it('keeps the bytes of a body that is no text', () => {
    const bytes = Buffer.from([0, 255, 10, 13, 10, 128]);
    expect(parseHttpFile(Buffer.concat([Buffer.from('POST / HTTP/1.1\n\n'), bytes])).body).toEqual(bytes);
  });

  it.each([
    ['', 1, /request line/],
    ['post / HTTP/1.1\n\n', 1, /request line/],
    ['# a\nnothing\n\n', 2, /request line/],
    ['POST / HTTP/1.1\nno colon\n\n', 2, /name: value/],
    ['POST / HTTP/1.1\na: b\n: c\n\n', 3, /name: value/],
    ['POST / HTTP/1.1\na: b', 3, /blank line/],
    ['POST / HTTP/1.1\na: b\n', 3, /blank line/],
  ])('that is broken (%j) is refused at line %i', (text, line, detail) => {
    expect(() => parse(text)).toThrow(HttpFileError);
    expect(() => parse(text)).toThrow(expect.objectContaining({ line, detail: expect.stringMatching(detail) }));
  });

  it('has its repeated headers joined, as a server does', () => {
    expect(headersOf(parse('POST / HTTP/1.1\na: 1\nb: 2\nA: 3\n\n'))).toEqual({ a: '1, 3', b: '2' });
  });

  it('is read as it was written', () => {
    const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,20}$/);
    const value = fc.stringMatching(/^([!-~]([ -~]{0,30}[!-~])?)?$/);
    fc.assert(
      fc.property(fc.array(fc.tuple(name, value)), fc.uint8Array(), (headers, bytes) => {
        const file = { method: 'POST', target: '/x', headers, body: Buffer.from(bytes) };
        expect(parseHttpFile(writeHttpFile(file))).toEqual(file);
      }),
    );
  });

  it('keeps every byte of a header, also one that would be a blank as a character', () => {
    const value = Buffer.from('voilà').toString('latin1');
    const file = parse(`POST / HTTP/1.1\nx-token:\t${value} \n\n`);
    expect(file.headers).toEqual([['x-token', value]]);
    expect(writeHttpFile(file).includes(Buffer.from('x-token: voilà\n'))).toBe(true);
  });

  it('is not written with a line break in a header, which would be another header', () => {
    const file = { method: 'POST', target: '/x', headers: [['a', 'b\nc: d']] as const, body: Buffer.alloc(0) };
    expect(() => writeHttpFile(file)).toThrow(RangeError);
  });

  it('never breaks the reader in any other way, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          parseHttpFile(Buffer.from(bytes));
        } catch (error) {
          expect(error).toBeInstanceOf(HttpFileError);
        }
      }),
    );
  });
});
