import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import type { Json, JsonObject } from '#libs/kernel/src/json.js';
import { hmacSha256Hex } from '#libs/plugin-sdk/src/signatures.js';
import { readable } from '#libs/plugin-sdk/testing/readable.js';

import { genericWebhook } from './generic-webhook.js';

const BODY = Buffer.from('{"a":1}');
const request = (headers: Record<string, string>) => ({
  headers,
  rawBody: BODY,
  query: {},
  contentType: 'application/json',
  sourceIp: '127.0.0.1',
});
const verify = (headers: Record<string, string>, secrets: readonly string[], config: JsonObject = {}) =>
  genericWebhook.verify(request(headers), { secrets, config, now: new Date() });
const normalise = (headers: Record<string, string>, value: Json) =>
  readable(
    genericWebhook.normalise(
      { value, kind: 'json', request: request(headers) },
      { secrets: [], config: {}, now: new Date() },
    ),
  );
const signature = (secret: string) => `sha256=${hmacSha256Hex(secret, BODY)}`;

describe('a generic webhook', () => {
  it('is believed by its URL alone where no secret is set', () => {
    expect(verify({}, [])).toEqual({ ok: true, authentication: 'slug' });
  });

  it.each([
    ['x-webhook-signature', 'hmac-sha256'],
    ['x-hub-signature-256', 'hmac-sha256'],
    // Bitbucket's and Jira's.
    ['x-hub-signature', 'hmac-sha256'],
  ])('is believed by %s', (header, authentication) => {
    expect(verify({ [header]: signature('key') }, ['new', 'key'])).toEqual({ ok: true, authentication });
    expect(verify({ [header]: signature('other') }, ['new', 'key'])).toEqual({
      ok: false,
      reason: 'signature_mismatch',
    });
  });

  it('is believed by any valid secret as a bearer token', () => {
    for (const token of ['new', 'old'])
      expect(verify({ authorization: `Bearer ${token}` }, ['new', 'old'])).toEqual({
        ok: true,
        authentication: 'bearer',
      });
  });

  it.each([
    [{}, 'signature_missing'],
    [{ authorization: 'Bearer' }, 'signature_malformed'],
    [{ authorization: 'Bearer a b' }, 'signature_malformed'],
    [{ authorization: 'Basic key' }, 'signature_malformed'],
    [{ authorization: 'Bearer keys' }, 'signature_mismatch'],
    [{ 'x-webhook-signature': 'key', authorization: 'Bearer key' }, 'signature_malformed'],
  ])('is not believed with %j', (headers, reason) => {
    expect(verify(headers as Record<string, string>, ['key'])).toEqual({ ok: false, reason });
  });

  it('may show a token beside the SHA-1 signature of an older sender, which proves nothing by itself', () => {
    const sha1 = { 'x-hub-signature': `sha1=${'0'.repeat(40)}` };
    expect(verify(sha1, ['key'])).toEqual({ ok: false, reason: 'signature_malformed' });
    expect(verify({ ...sha1, authorization: 'Bearer key' }, ['key'])).toMatchObject({ ok: true });
    expect(verify({ ...sha1, authorization: 'Bearer other' }, ['key'])).toMatchObject({ ok: false });
  });

  it('asks for the token alone where its config says so', () => {
    expect(verify({ 'x-webhook-signature': signature('key') }, ['key'], { bearer: true })).toMatchObject({ ok: false });
    expect(verify({ authorization: 'Bearer key' }, ['key'], { bearer: true })).toMatchObject({ ok: true });
  });

  it.each<[string, Record<string, string>, Json, string]>([
    ['X-Event-Type first', { 'x-event-type': 'a', 'x-github-event': 'b', 'x-webhook-event': 'c' }, { type: 'd' }, 'a'],
    ['then X-GitHub-Event', { 'x-github-event': 'b', 'x-webhook-event': 'c' }, { type: 'd' }, 'b'],
    ['then X-Webhook-Event', { 'x-webhook-event': 'c' }, { type: 'd' }, 'c'],
    ['then X-Event-Key', { 'x-event-key': 'repo:push' }, { type: 'd' }, 'repo:push'],
    ["then the body's event", {}, { event: 'e', type: 'd' }, 'e'],
    ["then the body's type", {}, { event: 7, type: 'd' }, 'd'],
    ['else says just webhook', { 'x-event-type': '' }, [1, 2], 'webhook'],
  ])('takes the name of its event from %s', (_, headers, value, eventType) => {
    expect(normalise(headers, value).eventType).toBe(eventType);
  });

  it('takes its delivery id from Idempotency-Key', () => {
    expect(normalise({ 'idempotency-key': 'k' }, {}).deliveryId).toBe('k');
    expect(normalise({}, {}).deliveryId).toBeUndefined();
  });

  it('takes any JSON', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(normalise({}, value as Json).events).toMatchObject([{ type: 'webhook.received' }]);
      }),
    );
  });

  it('keeps no header that may hold a secret', () => {
    expect(genericWebhook.keepHeaders!.filter((name) => /auth|signature|cookie|token|key$/.test(name))).toEqual([
      'x-event-key',
      'idempotency-key',
    ]);
  });
});
