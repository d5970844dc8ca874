import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { verifyWebhook } from '#libs/plugin-sdk/src/verify-webhook.js';

import { START } from '../../testing/given.js';
import { masked, outgoing, recordedRequest, recordedResponse } from './outgoing.js';

const task = { deliveryId: 'del_2', rootId: 'del_1', eventType: 'git.push' };
const body = { text: '{"a":1}', contentType: 'application/json' };
const credentials = { secrets: ['some secret'], headers: { Authorization: 'Bearer abc', 'X-Team': 'ops' } };

describe('an attempt', () => {
  it('says what it is, and is signed for the message it repeats', () => {
    const { headers } = outgoing(task, body, credentials, {}, START);
    expect(headers).toMatchObject({
      'Content-Type': 'application/json',
      'X-Millrace-Event': 'git.push',
      'X-Millrace-Delivery': 'del_2',
      'webhook-id': 'msg_1',
      Authorization: 'Bearer abc',
      'X-Team': 'ops',
    });
    expect(verifyWebhook(body.text, headers, 'some secret', { now: START })).toMatchObject({ messageId: 'msg_1' });
  });

  it("lets no header of the receiver's own take the place of ours", () => {
    const forged = { secrets: ['some secret'], headers: { 'webhook-id': 'msg_evil', 'X-Millrace-Event': 'no' } };
    const { headers } = outgoing(task, body, forged, {}, START);
    expect(headers).toMatchObject({ 'webhook-id': 'msg_1', 'X-Millrace-Event': 'git.push' });
  });

  it.each([undefined, 'X-GitProductivity-Signature'])('is recorded without signatures and secrets (%s)', (header) => {
    const message = outgoing(task, body, credentials, header === undefined ? {} : { signatureHeader: header }, START);
    const recorded = recordedRequest('https://example.com/', message, 'platform');
    const text = JSON.stringify(recorded);
    expect(text).not.toMatch(/Bearer|ops|some secret|sha256=|v1,/);
    expect(recorded.headers).toEqual({
      authorization: '(hidden)',
      'x-team': '(hidden)',
      'content-type': 'application/json',
      'user-agent': 'Millrace',
      'x-millrace-event': 'git.push',
      'x-millrace-delivery': 'del_2',
      'webhook-id': 'msg_1',
      'webhook-timestamp': String(START.getTime() / 1000),
    });
    expect(recorded.bodyBytes).toBe(7);
  });
});

describe('an answer', () => {
  it('is recorded as text where it is text', () =>
    expect(recordedResponse(200, {}, Buffer.from('naïve'), false)).toMatchObject({ body: 'naïve', encoding: 'utf8' }));

  it('is recorded as text where only its end was cut off', () => {
    const cut = Buffer.from('naïve').subarray(0, 3);
    expect(recordedResponse(200, {}, cut, true)).toMatchObject({ encoding: 'utf8', truncated: true });
  });

  it('is recorded in base64 where it is not text', () => {
    const bytes = Buffer.from([0xff, 0xfe, 0x00, 0x80]);
    expect(recordedResponse(200, {}, bytes, false)).toMatchObject({
      body: bytes.toString('base64'),
      encoding: 'base64',
    });
  });

  it('is recorded without its cookies', () => {
    const { headers } = recordedResponse(200, { 'set-cookie': 'session=1', server: 'x' }, Buffer.alloc(0), false);
    expect(headers).toEqual({ server: 'x' });
  });
});

describe('an answer that echoes header values of the webhook', () => {
  const secret = fc.string({
    minLength: 4,
    maxLength: 40,
    unit: fc.constantFrom(...'abcXYZ019-_.~+/=\'"\\é '.split('')),
  });

  it('is recorded without them: as they are, in JSON, without the scheme, in headers, and in what is no text', () => {
    fc.assert(
      fc.property(secret, (value) => {
        fc.pre(value.trim() === value && !/\s/.test(value));
        const mask = masked({ Authorization: `Bearer ${value}` });
        const bodies = [`got ${value}!`, JSON.stringify({ authorization: `Bearer ${value}` }), `token=${value}`];
        for (const text of bodies) {
          const { body, headers } = recordedResponse(200, { 'x-echo': value }, Buffer.from(text), false, mask);
          expect(body).not.toContain(value);
          expect(body).toContain('(hidden)');
          expect(headers['x-echo']).not.toContain(value);
        }
        const binary = Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(value, 'latin1')]);
        const recorded = recordedResponse(200, {}, binary, false, mask);
        expect(recorded.encoding).toBe('base64');
        expect(Buffer.from(recorded.body, 'base64').toString('latin1')).not.toContain(value);
      }),
    );
  });

  it('keeps everything else byte by byte', () => {
    const mask = masked({ Authorization: 'Bearer abcdef' });
    const answer = Buffer.from('fine é \u{1f600}');
    expect(recordedResponse(200, {}, answer, false, mask).body).toBe('fine é \u{1f600}');
  });
});
