import { createHmac } from 'node:crypto';

import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { anyCharacter } from '#libs/kernel/testing/any-character.js';

import type { InboundRequest, ProviderContext } from './define-provider.js';
import {
  hmacSha256Hex,
  holdsSecret,
  timingSafeEqual,
  verifyBearer,
  verifyHmac,
  withinTolerance,
} from './signatures.js';

const SCHEME = { header: 'x-signature', prefix: 'sha256=' };
const context = (...secrets: string[]): ProviderContext => ({ secrets, config: {}, now: new Date(0) });
const request = (rawBody: Buffer, signature?: string): InboundRequest => ({
  headers: { 'x-signature': signature },
  rawBody,
  query: {},
  contentType: 'application/json',
  sourceIp: '127.0.0.1',
});
const sign = (body: Buffer, secret: string): string => `sha256=${hmacSha256Hex(secret, body)}`;

const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array));
const secret = fc.string({ minLength: 1, maxLength: 60 });

describe('HMAC signatures', () => {
  it("agree with GitHub's own example", () => {
    expect(hmacSha256Hex("It's a Secret to Everybody", 'Hello, World!')).toBe(
      '757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17',
    );
  });

  it('are believed for any body and secret', () => {
    fc.assert(
      fc.property(bytes, secret, (body, key) => {
        expect(verifyHmac(request(body, sign(body, key)), context(key), SCHEME)).toEqual({
          ok: true,
          authentication: 'hmac-sha256',
        });
      }),
    );
  });

  it('are not believed with any bit of the body changed', () => {
    const changed = bytes
      .filter((body) => body.length > 0)
      .chain((body) => fc.record({ body: fc.constant(body), bit: fc.nat(body.length * 8 - 1) }));
    fc.assert(
      fc.property(changed, secret, ({ body, bit }, key) => {
        const other = Buffer.from(body);
        other[bit >> 3]! ^= 1 << (bit & 7);
        expect(verifyHmac(request(other, sign(body, key)), context(key), SCHEME).ok).toBe(false);
      }),
    );
  });

  it('are not believed with any bit of the signature changed but for its case, nor cut or lengthened', () => {
    fc.assert(
      fc.property(bytes, secret, fc.nat(71 * 8 - 1), (body, key, bit) => {
        const signature = sign(body, key);
        const other = Buffer.from(signature, 'latin1');
        other[bit >> 3]! ^= 1 << (bit & 7);
        fc.pre(other.toString('latin1').toLowerCase() !== signature);
        for (const wrong of [
          other.toString('latin1'),
          signature.slice(0, 1 + (bit >> 3)).slice(0, 70),
          `${signature}0`,
        ])
          expect(verifyHmac(request(body, wrong), context(key), SCHEME).ok).toBe(false);
      }),
    );
  });

  it('are believed in upper and lower case', () => {
    fc.assert(
      fc.property(bytes, secret, (body, key) => {
        for (const signature of [sign(body, key).toUpperCase(), `sha256=${sign(body, key).slice(7).toUpperCase()}`])
          expect(verifyHmac(request(body, signature), context(key), SCHEME).ok).toBe(true);
      }),
    );
  });

  it('are never made or believed with an empty secret', () => {
    const body = Buffer.from('{}');
    expect(() => hmacSha256Hex('', body)).toThrow('must not be empty');
    expect(() => hmacSha256Hex(Buffer.alloc(0), body)).toThrow('must not be empty');
    const forged = `sha256=${createHmac('sha256', '').update(body).digest('hex')}`;
    for (const secrets of [[''], ['', 'right'], ['right', '']])
      expect(verifyHmac(request(body, forged), context(...secrets), SCHEME)).toEqual({
        ok: false,
        reason: 'signature_mismatch',
      });
    expect(verifyHmac(request(body, sign(body, 'right')), context('', 'right'), SCHEME).ok).toBe(true);
  });

  it('are believed with any of several secrets, and with no other', () => {
    const body = Buffer.from('{}');
    const rotating = context('new', 'old', 'older');
    for (const key of ['new', 'old', 'older'])
      expect(verifyHmac(request(body, sign(body, key)), rotating, SCHEME).ok).toBe(true);
    expect(verifyHmac(request(body, sign(body, 'oldest')), rotating, SCHEME)).toEqual({
      ok: false,
      reason: 'signature_mismatch',
    });
  });

  it('are not asked for where no secret is configured', () => {
    expect(verifyHmac(request(Buffer.from('{}')), context(), SCHEME)).toEqual({ ok: true, authentication: 'slug' });
  });

  it('never throw, whatever stands in the header', () => {
    fc.assert(
      fc.property(fc.string({ unit: anyCharacter, maxLength: 100 }), bytes, (header, body) => {
        expect(verifyHmac(request(body, header), context('key'), SCHEME).ok).toBe(false);
      }),
    );
  });

  it('may be made over more than the body', () => {
    const body = Buffer.from('{}');
    const scheme = { ...SCHEME, signed: ({ rawBody }: InboundRequest) => `v0:1:${rawBody.toString()}` };
    expect(verifyHmac(request(body, `sha256=${hmacSha256Hex('k', 'v0:1:{}')}`), context('k'), scheme).ok).toBe(true);
    expect(verifyHmac(request(body, sign(body, 'k')), context('k'), scheme).ok).toBe(false);
  });
});

describe('comparing texts', () => {
  it('says what === says', () => {
    const text = fc.string({ unit: anyCharacter, maxLength: 20 });
    fc.assert(fc.property(text, text, (a, b) => timingSafeEqual(a, b) === (a === b)));
    fc.assert(fc.property(text, (a) => timingSafeEqual(a, a)));
  });
});

describe('a secret in a header', () => {
  /** As Node reads what a sender writes. */
  const read = (secret: string, encoding: 'utf8' | 'latin1' = 'utf8') =>
    Buffer.from(secret, encoding).toString('latin1');
  const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 });

  it.each(['geheim-ä123', 'voilà', 'пароль', '秘密🔑'])('may be %s, in UTF-8', (secret) => {
    expect(holdsSecret(read(secret), ['another', secret])).toBe(true);
    const bearer = { ...request(Buffer.alloc(0)), headers: { authorization: `Bearer ${read(secret)}` } };
    expect(verifyBearer(bearer, context(secret, 'older'))).toEqual({ ok: true, authentication: 'bearer' });
    expect(verifyBearer(bearer, context('another'))).toEqual({ ok: false, reason: 'signature_mismatch' });
    // As a text, where somebody tries a request out.
    expect(holdsSecret(secret, [secret])).toBe(true);
  });

  it('may be in latin1, where it can', () => {
    expect(holdsSecret(read('geheim-ä123', 'latin1'), ['geheim-ä123'])).toBe(true);
    // U+0161 cut to a byte is an a: it must not be taken for one.
    expect(holdsSecret(read('š', 'latin1'), ['š'])).toBe(false);
    expect(holdsSecret('a', ['š'])).toBe(false);
    expect(holdsSecret('š', ['a'])).toBe(false);
  });

  it('is no other than itself', () => {
    fc.assert(
      fc.property(text, text, (secret, other) => {
        expect(holdsSecret(read(secret), [secret])).toBe(true);
        if (read(other) !== read(secret) && read(other) !== secret && other !== read(secret))
          expect(holdsSecret(read(other), [secret])).toBe(false);
      }),
    );
    expect(holdsSecret('', [])).toBe(false);
    expect(holdsSecret('', [''])).toBe(false);
    expect(holdsSecret('', ['', 'right'])).toBe(false);
  });
});

describe('the tolerance of times', () => {
  it('is five minutes to both sides, unless another is given', () => {
    const now = new Date('2026-11-20T12:00:00Z');
    const at = (seconds: number) => now.getTime() + seconds * 1000;
    expect([-301, -300, 0, 300, 301].map((seconds) => withinTolerance(at(seconds), now))).toEqual([
      false,
      true,
      true,
      true,
      false,
    ]);
    expect(withinTolerance(at(-20), now, 10_000)).toBe(false);
    expect(withinTolerance(NaN, now)).toBe(false);
  });
});
