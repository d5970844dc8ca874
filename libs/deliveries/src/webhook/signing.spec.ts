import { createHmac } from 'node:crypto';

import { describe, expect, it } from '@jest/globals';

import { signatureHeaders } from '#libs/plugin-sdk/src/signature-headers.js';
import { verifyHexSignature, verifyWebhook } from '#libs/plugin-sdk/src/verify-webhook.js';

import { newSecret, secretRefusal } from './signing.js';

const message = { messageId: 'msg_1', timestamp: 1_700_000_000, body: '{"a":1}' };
const now = new Date(message.timestamp * 1000);

describe('a signed delivery', () => {
  it('carries the hex HMAC-SHA256 of the body, keyed with the text of the secret', () => {
    const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
    const headers = signatureHeaders(message, [secret]);
    const hex = createHmac('sha256', secret).update(message.body).digest('hex');
    expect(headers['X-Millrace-Signature']).toBe(`sha256=${hex}`);
    expect(verifyHexSignature(message.body, headers['X-Millrace-Signature']!, secret)).toBe(true);
  });

  it.each(['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'a plain old secret', newSecret()])(
    'is accepted by a receiver that knows the secret %#',
    (secret) => {
      const headers = signatureHeaders(message, [secret]);
      expect(verifyWebhook(message.body, headers, secret, { now })).toMatchObject({ ok: true, messageId: 'msg_1' });
      expect(verifyWebhook(message.body, headers, 'another secret', { now }).ok).toBe(false);
    },
  );

  it('is accepted with the new and with the old secret during a rotation', () => {
    const [fresh, old] = [newSecret(), newSecret()];
    const headers = signatureHeaders(message, [fresh, old]);
    expect(headers['webhook-signature']!.split(' ')).toHaveLength(2);
    for (const secret of [fresh, old]) expect(verifyWebhook(message.body, headers, secret, { now }).ok).toBe(true);
    expect(verifyHexSignature(message.body, headers['X-Millrace-Signature']!, fresh)).toBe(true);
    expect(verifyHexSignature(message.body, headers['X-Millrace-Signature-Previous']!, old)).toBe(true);
    const renamed = signatureHeaders(message, [fresh, old], 'X-ProxifAI-Signature');
    expect(verifyHexSignature(message.body, renamed['X-ProxifAI-Signature-Previous']!, old)).toBe(true);
  });

  it('carries the hex signature under another name where one is wanted', () => {
    const headers = signatureHeaders(message, ['some secret'], 'X-GitProductivity-Signature');
    expect(headers['X-GitProductivity-Signature']).toMatch(/^sha256=[0-9a-f]{64}$/);
    expect(Object.keys(headers).filter((name) => name.endsWith('-Previous'))).toEqual([]);
    expect(headers).not.toHaveProperty('X-Millrace-Signature');
  });

  it('to a receiver without a secret carries no signature at all', () => {
    expect(signatureHeaders(message, [])).toEqual({ 'webhook-id': 'msg_1', 'webhook-timestamp': '1700000000' });
  });
});

describe('a secret', () => {
  it('that is made has 32 random bytes', () => {
    const secret = newSecret();
    expect(Buffer.from(secret.slice('whsec_'.length), 'base64')).toHaveLength(32);
    expect(newSecret()).not.toBe(secret);
    expect(secretRefusal(secret)).toBeUndefined();
  });

  it.each(['', 'short', 'x'.repeat(513), 'line\nbreak in it', 'whsec_not base64', 'nul\0nul\0nul'])(
    'is refused when it is %j',
    (secret) => expect(secretRefusal(secret)).toMatch(/\.$/),
  );
});
