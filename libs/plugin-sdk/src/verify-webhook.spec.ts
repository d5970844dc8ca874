import { createHmac } from 'node:crypto';

import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { hmacSha256Hex } from './signatures.js';
import { standardKey, standardSignature } from './standard-webhooks.js';
import { verifyHexSignature, verifyWebhook } from './verify-webhook.js';

/** The example of the Standard Webhooks specification. */
const official = {
  secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
  id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
  timestamp: 1614265330,
  body: '{"test": 2432232314}',
  signature: 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
};
const now = new Date(official.timestamp * 1000);
const headersOf = (more: Record<string, string> = {}) => ({
  'webhook-id': official.id,
  'webhook-timestamp': String(official.timestamp),
  'webhook-signature': official.signature,
  ...more,
});
const sign = (secret: string, body: string | Buffer, id = official.id, timestamp = official.timestamp) => ({
  'webhook-id': id,
  'webhook-timestamp': String(timestamp),
  'webhook-signature': standardSignature(standardKey(secret)!, id, timestamp, body),
});

describe('a standard signature', () => {
  it("is that of the specification's example", () => {
    expect(standardSignature(standardKey(official.secret)!, official.id, official.timestamp, official.body)).toBe(
      official.signature,
    );
  });

  it('takes a secret without the prefix as the bytes of its text', () => {
    expect(standardKey('plain secret')).toEqual(Buffer.from('plain secret'));
  });

  it.each(['', 'whsec_', 'whsec_!', 'whsec_a', 'whsec_YQ=a', 'whsec_YWJj='])(
    'has no key for the secret %s',
    (secret) => {
      expect(standardKey(secret)).toBeUndefined();
    },
  );

  it('is not made with an empty key', () => {
    expect(() => standardSignature(Buffer.alloc(0), 'msg_1', 1, '{}')).toThrow('must not be empty');
  });

  it('takes base64 with or without its padding', () => {
    expect(standardKey('whsec_YWI=')).toEqual(standardKey('whsec_YWI'));
  });
});

describe('a receiver', () => {
  it("accepts the specification's example", () => {
    expect(verifyWebhook(official.body, headersOf(), official.secret, { now })).toEqual({
      ok: true,
      messageId: official.id,
      sentAt: now,
    });
  });

  it('takes headers in any spelling, as arrays, and as a Headers object', () => {
    const { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signature } = headersOf();
    const spelt = { 'Webhook-Id': id, 'WEBHOOK-TIMESTAMP': timestamp, 'webhook-signature': [signature] };
    expect(verifyWebhook(official.body, spelt, official.secret, { now }).ok).toBe(true);
    expect(verifyWebhook(official.body, new Headers(headersOf()), official.secret, { now }).ok).toBe(true);
  });

  it('accepts one good signature among several, and one good secret among several', () => {
    const several = headersOf({ 'webhook-signature': `v1,AAAA v1a,BBBB ${official.signature}` });
    expect(verifyWebhook(official.body, several, ['another secret', official.secret], { now }).ok).toBe(true);
  });

  it.each(['webhook-id', 'webhook-timestamp', 'webhook-signature'])('refuses a delivery without %s', (name) => {
    const headers: Record<string, string | undefined> = { ...headersOf(), [name]: undefined };
    expect(verifyWebhook(official.body, headers, official.secret, { now })).toMatchObject({
      ok: false,
      reason: 'header_missing',
    });
  });

  it.each([301, -301])('refuses a delivery that is %i seconds off, and accepts it within a wider tolerance', (off) => {
    const later = new Date(now.getTime() + off * 1000);
    expect(verifyWebhook(official.body, headersOf(), official.secret, { now: later })).toMatchObject({
      ok: false,
      reason: 'timestamp_outside_tolerance',
    });
    const wide = { now: later, toleranceSeconds: 600 };
    expect(verifyWebhook(official.body, headersOf(), official.secret, wide).ok).toBe(true);
  });

  it.each(['', 'soon', '-1', '1e9', '16142653300000', 'NaN', ' 1614265330'])('refuses the time "%s"', (timestamp) => {
    const verified = verifyWebhook(
      official.body,
      headersOf({ 'webhook-timestamp': timestamp || ' ' }),
      official.secret,
      { now },
    );
    expect(verified).toMatchObject({ ok: false, reason: 'timestamp_outside_tolerance' });
  });

  it('accepts a good signature behind any number of others, of versions that it does not know', () => {
    for (const others of ['v1h,abcd hmac512,AAAA', Array(40).fill('v9,AAAA').join(' '), 'nonsense'])
      for (const several of [`${others} ${official.signature}`, `${official.signature} ${others}`]) {
        const headers = headersOf({ 'webhook-signature': several });
        expect(verifyWebhook(official.body, headers, official.secret, { now }).ok).toBe(true);
      }
  });

  it.each([
    ['whsec_!'],
    ['whsec_'],
    ['whsec_!!!'],
    [''],
    [['']],
    [['', official.secret]],
    [[official.secret, '']],
    [[]],
  ])('refuses to work with the secret %j, whoever signed with it', (secret) => {
    const signed = `${official.id}.${official.timestamp}.${official.body}`;
    const forged = `v1,${createHmac('sha256', '').update(signed).digest('base64')}`;
    for (const signature of [official.signature, forged]) {
      const headers = headersOf({ 'webhook-signature': signature });
      expect(verifyWebhook(official.body, headers, secret, { now })).toMatchObject({
        ok: false,
        reason: 'secret_malformed',
        detail: expect.stringContaining('none may be empty'),
      });
    }
  });

  it('refuses to check a hex signature with an empty secret', () => {
    const forged = `sha256=${createHmac('sha256', '').update('{}').digest('hex')}`;
    expect(() => verifyHexSignature('{}', forged, '')).toThrow('The secret must not be empty');
  });

  it('takes a hex signature in upper and lower case', () => {
    const signature = `sha256=${hmacSha256Hex('secret', '{}')}`;
    expect(verifyHexSignature('{}', signature.toUpperCase(), 'secret')).toBe(true);
  });

  it('accepts what was signed, and nothing with any bit changed', () => {
    const secretTexts = fc.string({ minLength: 8, maxLength: 40 }).filter((text) => standardKey(text) !== undefined);
    fc.assert(
      fc.property(secretTexts, fc.uint8Array({ minLength: 1, maxLength: 200 }), fc.nat(), (secret, bytes, bit) => {
        const body = Buffer.from(bytes);
        const headers = sign(secret, body);
        expect(verifyWebhook(body, headers, secret, { now }).ok).toBe(true);
        expect(verifyHexSignature(body, `sha256=${hmacSha256Hex(secret, body)}`, secret)).toBe(true);
        const changed = Buffer.from(body);
        const at = bit % (changed.length * 8);
        changed[at >> 3]! ^= 1 << (at & 7);
        expect(verifyWebhook(changed, headers, secret, { now }).ok).toBe(false);
        expect(verifyHexSignature(changed, `sha256=${hmacSha256Hex(secret, body)}`, secret)).toBe(false);
        expect(verifyWebhook(body, { ...headers, 'webhook-id': `${official.id}x` }, secret, { now }).ok).toBe(false);
        const moved = { ...headers, 'webhook-timestamp': String(official.timestamp + 1) };
        expect(verifyWebhook(body, moved, secret, { now }).ok).toBe(false);
      }),
    );
  });

  it('never throws, whatever is sent', () => {
    const texts = fc.option(fc.string(), { nil: undefined });
    fc.assert(
      fc.property(
        fc.string(),
        texts,
        texts,
        texts,
        fc.string({ minLength: 1 }),
        (body, id, timestamp, signature, secret) => {
          const headers = { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signature };
          expect(verifyWebhook(body, headers, secret).ok).toBe(false);
          expect(verifyHexSignature(body, signature ?? '', secret)).toBe(false);
        },
      ),
    );
  });
});
