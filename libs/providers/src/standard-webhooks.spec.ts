import { readFileSync } from 'node:fs';

import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import type { InboundRequest } from '#libs/plugin-sdk/src/define-provider.js';
import { headersOf, parseHttpFile } from '#libs/plugin-sdk/src/http-file.js';
import { readable } from '#libs/plugin-sdk/testing/readable.js';

import { signStandardWebhook, standardWebhooks } from './standard-webhooks.js';

const saved = (name: string): InboundRequest => {
  const file = parseHttpFile(readFileSync(new URL(`../fixtures/${name}.http`, import.meta.url)));
  return {
    headers: headersOf(file),
    rawBody: file.body,
    query: {},
    contentType: 'application/json',
    sourceIp: '127.0.0.1',
  };
};
const now = new Date('2026-11-20T13:14:15Z');
const SECRET = 'whsec_c3RhbmRhcmQtd2ViaG9va3MtZml4dHVyZS1rZXk=';
const PUBLIC_KEY = 'whpk_6kpsY+KcUgq+9VB7Ey7F+ZVHdq6+vnuSQh7qaRRG0iw=';
const asymmetric = saved('standard_webhooks-v1a/signed');
const symmetric = saved('standard_webhooks/unknown-type');
const verify = (request: InboundRequest, config: { publicKey?: string } = {}, secrets: readonly string[] = []) =>
  standardWebhooks.verify(request, { secrets, config, now });
const mismatch = { ok: false, reason: 'signature_mismatch' };
const malformed = { ok: false, reason: 'signature_malformed' };

describe('a Standard Webhooks signature', () => {
  it('with Ed25519 is believed by the public key alone, among others of other schemes', () => {
    const { headers } = asymmetric;
    expect(headers['webhook-signature']).toMatch(/^v1,\S+ v1a,\S+$/);
    expect(verify(asymmetric, { publicKey: PUBLIC_KEY })).toEqual({ ok: true, authentication: 'ed25519' });
    expect(verify(asymmetric, {}, [SECRET])).toEqual(mismatch);
    const other = `whpk_${Buffer.alloc(32, 9).toString('base64')}`;
    expect(verify(asymmetric, { publicKey: other })).toEqual(mismatch);
  });

  it('with Ed25519 covers every bit of the body, the id and the time', () => {
    fc.assert(
      fc.property(fc.nat(asymmetric.rawBody.length * 8 - 1), (bit) => {
        const rawBody = Buffer.from(asymmetric.rawBody);
        rawBody[bit >> 3]! ^= 1 << (bit & 7);
        expect(verify({ ...asymmetric, rawBody }, { publicKey: PUBLIC_KEY })).toEqual(mismatch);
      }),
    );
    for (const [name, value] of [
      ['webhook-id', 'msg_other'],
      ['webhook-timestamp', String(Number(asymmetric.headers['webhook-timestamp']) + 1)],
    ] as const) {
      const headers = { ...asymmetric.headers, [name]: value };
      expect(verify({ ...asymmetric, headers }, { publicKey: PUBLIC_KEY })).toEqual(mismatch);
    }
  });

  it('of both kinds may be configured: either is enough', () => {
    const both = { publicKey: PUBLIC_KEY };
    expect(verify(asymmetric, both, [SECRET])).toEqual({ ok: true, authentication: 'ed25519' });
    expect(verify(symmetric, both, [SECRET])).toEqual({ ok: true, authentication: 'hmac-sha256' });
  });

  it('is never made with a key that cannot be one', () => {
    for (const publicKey of ['whpk_', 'whpk_AAAA', PUBLIC_KEY.slice(5)])
      expect(verify(asymmetric, { publicKey })).toEqual(mismatch);
    expect(verify(symmetric, {}, ['whsec_not base64'])).toEqual(mismatch);
  });

  it('may be one of several, also where a proxy has joined several headers', () => {
    const { headers } = symmetric;
    const right = headers['webhook-signature'];
    const wrong = `v1,${Buffer.alloc(32).toString('base64')}`;
    for (const several of [`${wrong} ${right}`, `${right} ${wrong}`, `${wrong}, ${right}`])
      expect(verify({ ...symmetric, headers: { ...headers, 'webhook-signature': several } }, {}, [SECRET])).toEqual({
        ok: true,
        authentication: 'hmac-sha256',
      });
  });

  it('may stand beside any number of others, of versions and forms that are unknown', () => {
    const { headers } = symmetric;
    const right = headers['webhook-signature'];
    const others = ['v1h,abcd hmac512,AAAA', 'v1,AAAA', 'v2,', '===', 'x', Array(40).fill('v9,AAAA').join(' ')];
    for (const other of others)
      for (const several of [`${other} ${right}`, `${right} ${other}`]) {
        const request = { ...symmetric, headers: { ...headers, 'webhook-signature': several } };
        expect(verify(request, {}, [SECRET])).toEqual({ ok: true, authentication: 'hmac-sha256' });
      }
  });

  it('may come in the headers of Svix, whose id is the delivery id then', () => {
    const svix = (headers: InboundRequest['headers']) =>
      Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.replace('webhook', 'svix'), value]));
    const request = { ...symmetric, headers: svix(symmetric.headers) };
    expect(verify(request, {}, [SECRET])).toEqual({ ok: true, authentication: 'hmac-sha256' });
    expect(verify({ ...request, rawBody: Buffer.from('{}') }, {}, [SECRET])).toEqual(mismatch);
    const id = (headers: InboundRequest['headers']) =>
      readable(
        standardWebhooks.normalise(
          { value: {}, kind: 'json', request: { ...symmetric, headers } },
          { secrets: [], config: {}, now },
        ),
      ).deliveryId;
    expect(id(request.headers)).toBe('msg_2Lml1');
    // The id that is recorded is the one that is signed, whatever stands beside it.
    expect(id({ ...request.headers, 'webhook-id': 'another' })).toBe('msg_2Lml1');
    const signed = signStandardWebhook(request, { secrets: [SECRET], config: {}, now });
    expect(Object.keys(signed)).toEqual(['svix-id', 'svix-timestamp', 'svix-signature']);
    expect(verify({ ...request, headers: signed }, {}, [SECRET])).toMatchObject({ ok: true });
  });

  it('with the time in milliseconds is refused', () => {
    const signed = signStandardWebhook(symmetric, { secrets: [SECRET], config: {}, now });
    const headers = { ...signed, 'webhook-timestamp': `${signed['webhook-timestamp']}000` };
    expect(verify({ ...symmetric, headers }, {}, [SECRET])).toEqual(malformed);
  });

  it.each(['v1', 'v1,', 'abc', 'v1,a b', `v1,${'A'.repeat(43)}`, Array(20).fill('v1,AAAA').join(' ')])(
    'is malformed as %j',
    (signature) => {
      const headers = { ...symmetric.headers, 'webhook-signature': signature };
      expect(verify({ ...symmetric, headers }, {}, [SECRET])).toEqual(malformed);
    },
  );

  it.each(['', 'now', '1e9', '-1', '1795180455.0'])('has no time where it says %j', (timestamp) => {
    const headers = { ...symmetric.headers, 'webhook-timestamp': timestamp };
    expect(verify({ ...symmetric, headers }, {}, [SECRET])).toMatchObject({ ok: false });
  });

  it('of an old request is told apart only by who knows the secret', () => {
    const later = new Date(now.getTime() + 3_600_000);
    const at = (secrets: readonly string[]) => standardWebhooks.verify(symmetric, { secrets, config: {}, now: later });
    expect(at([SECRET])).toEqual({ ok: false, reason: 'stale' });
    expect(at(['another'])).toEqual(mismatch);
  });

  it('is made as it is checked, whatever the body', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.string({ minLength: 1 }), (bytes, secret) => {
        fc.pre(!secret.startsWith('whsec_'));
        const request = { ...symmetric, rawBody: Buffer.from(bytes) };
        const signed = signStandardWebhook(request, { secrets: [secret], config: {}, now });
        expect(verify({ ...request, headers: signed }, {}, [secret])).toMatchObject({ ok: true });
      }),
    );
  });
});
