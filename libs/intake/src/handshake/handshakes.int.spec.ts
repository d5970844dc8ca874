import { createHmac, generateKeyPairSync, sign } from 'node:crypto';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import type { JsonObject } from '#libs/kernel/src/json.js';
import { builtInProviders } from '#libs/providers/src/built-in.js';

import {
  SNS_CERTIFICATE,
  SNS_CERTIFICATE_URL,
  SNS_CONFIRM_URL,
  SNS_TOPIC,
  snsMessage,
} from '../../../providers/testing/sns-stand-in.js';
import { AUTHOR, InboundServer } from '../../testing/inbound-server.js';
import { OpenHandshake, openHandshake } from './handshake.js';

const SECRET = 'a-secret-of-the-sender';
const JSON_TYPE = { 'content-type': 'application/json' };

let server: InboundServer;
beforeAll(async () => {
  server = await new InboundServer([builtInProviders]).start();
});
afterAll(() => server.stop());

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly headers: Headers;
}
async function call(
  url: string,
  method: string,
  headers: Record<string, string> = {},
  body?: string | object,
): Promise<Answer> {
  const text = typeof body === 'object' ? JSON.stringify(body) : body;
  const answer = await fetch(url, { method, headers, ...(text !== undefined && { body: text }) });
  return { status: answer.status, text: await answer.text(), headers: answer.headers };
}
const post = (url: string, body: string | object, headers: Record<string, string> = {}): Promise<Answer> =>
  call(url, 'POST', { ...JSON_TYPE, ...headers }, body);
const preset = (name: string, given: { secret?: string; config?: JsonObject } = {}) =>
  server.integration('generic_webhook', { preset: name, ...given });
const hmac = (secret: string, content: string): string => createHmac('sha256', secret).update(content).digest('hex');
const countsOf = (id: string): Record<string, number> =>
  Object.fromEntries(
    server.counters
      .take()
      .filter(({ integrationId }) => integrationId === id)
      .map(({ counter, count }) => [counter, count]),
  );
const eventsOf = async (id: string) =>
  (await server.received()).filter(({ metadata }) => metadata.actor === `integration/${id}`);

describe('an echo', () => {
  it('is text that no browser takes for a page, counted, and stored nowhere', async () => {
    const { id, url } = await preset('dropbox', { secret: SECRET });
    server.counters.take();
    const answer = await call(`${url}?challenge=%3Cb%3E1`, 'GET');
    expect([answer.status, answer.text]).toEqual([200, '<b>1']);
    expect(answer.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
    expect(countsOf(id)).toEqual({ handshakes: 1 });
    expect(await eventsOf(id)).toEqual([]);
  });

  it('has at most 1 KiB', async () => {
    const { url } = await preset('dropbox', { secret: SECRET });
    expect((await call(`${url}?challenge=${'a'.repeat(1024)}`, 'GET')).status).toBe(200);
    const longer = await call(`${url}?challenge=${'a'.repeat(1025)}`, 'GET');
    expect([longer.status, longer.text.includes('aaaa')]).toEqual([400, false]);
  });

  it.each([
    ['stripe', 'GET'],
    ['dropbox', 'PUT'],
  ])('is not given by %s for %s', async (name, method) => {
    const { url } = await preset(name, { secret: SECRET });
    expect((await call(`${url}?challenge=1`, method)).status).toBe(405);
  });

  it('says no more of an address than any other does', async () => {
    const { url } = await server.integration('generic_webhook', { allowedSources: ['10.0.0.1'] });
    const nowhere = `${server.url}/api/v1/webhooks/inbound/wh_${'0'.repeat(32)}`;
    const answers = await Promise.all([url, nowhere].map((one) => call(`${one}?challenge=1`, 'GET')));
    expect(answers.map(({ status }) => status)).toEqual([405, 405]);
  });

  it('of Meta wants the verify token', async () => {
    const { url } = await preset('meta', { secret: SECRET, config: { verifyToken: 'made-up-1' } });
    const ask = (token: string) =>
      call(`${url}?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=${token}`, 'GET');
    expect(await ask('made-up-1')).toMatchObject({ status: 200, text: '1158201444' });
    for (const token of ['made-up-2', '']) expect((await ask(token)).status).toBe(403);
    expect((await call(`${url}?hub.challenge=1`, 'GET')).status).toBe(403);
  });

  it('of Microsoft Graph is decoded, and asked with POST', async () => {
    const { url } = await preset('microsoft-graph', { secret: SECRET });
    const answer = await call(`${url}?validationToken=Validation%3a+Testing`, 'POST', { 'content-type': 'text/plain' });
    expect([answer.status, answer.text]).toEqual([200, 'Validation: Testing']);
  });

  it('of Okta is JSON, for whoever sends the secret', async () => {
    const { id, url } = await preset('okta', { secret: SECRET });
    const challenge = { 'x-okta-verification-challenge': 'c-1' };
    const answer = await call(url, 'GET', { ...challenge, authorization: SECRET });
    expect([answer.status, JSON.parse(answer.text)]).toEqual([200, { verification: 'c-1' }]);
    server.counters.take();
    expect((await call(url, 'GET', challenge)).status).toBe(401);
    expect((await call(url, 'GET', { ...challenge, authorization: 'another' })).status).toBe(401);
    expect(countsOf(id)).toEqual({ 'refused.signature_missing': 1, 'refused.signature_mismatch': 1 });
  });

  it('of monday.com is for a body that has nothing else', async () => {
    const { url } = await preset('monday', { secret: SECRET });
    const answer = await post(url, { challenge: '3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P' });
    expect([answer.status, Object.keys(JSON.parse(answer.text) as object)]).toEqual([200, ['challenge']]);
    expect((await post(url, { challenge: '1', event: {} })).status).toBe(401);
    expect((await post(url, { challenge: 'a'.repeat(1025) })).status).toBe(400);
  });

  it('may be declared, and HEAD too', async () => {
    const config = {
      verify: { kind: 'hmac', header: 'X-Sig' },
      handshake: { kind: 'echo', method: 'GET', from: 'query:c', as: 'token', require: { 'header:x-from': 'acme' } },
    };
    const { url } = await server.integration('generic_webhook', { secret: SECRET, config });
    expect(JSON.parse((await call(`${url}?c=1`, 'GET', { 'x-from': 'acme' })).text)).toEqual({ token: '1' });
    expect((await call(`${url}?c=1`, 'GET', { 'x-from': 'other' })).status).toBe(403);
    expect((await call(url, 'GET', { 'x-from': 'acme' })).status).toBe(405);
  });
});

it('HEAD of Trello is answered and counted', async () => {
  const { id, url } = await preset('trello', { secret: SECRET });
  server.counters.take();
  expect((await call(url, 'HEAD')).status).toBe(200);
  expect(countsOf(id)).toEqual({ handshakes: 1 });
});

describe('Zoom', () => {
  const body = JSON.stringify({ event: 'endpoint.url_validation', payload: { plainToken: 'q' }, event_ts: 1 });
  const signed = (secret: string, text: string): Record<string, string> => {
    const seconds = String(Math.floor(server.clock.now().getTime() / 1000));
    return {
      'x-zm-request-timestamp': seconds,
      'x-zm-signature': `v0=${hmac(secret, `v0:${seconds}:${text}`)}`,
    };
  };

  it('is given its token with the secret that it signed with', async () => {
    const { id, url } = await preset('zoom', { secret: SECRET });
    const answer = await post(url, body, signed(SECRET, body));
    expect([answer.status, JSON.parse(answer.text)]).toEqual([
      200,
      { plainToken: 'q', encryptedToken: hmac(SECRET, 'q') },
    ]);
    expect(await eventsOf(id)).toEqual([]);
  });

  it('must sign first: nobody else has texts of their choice signed', async () => {
    const { url } = await preset('zoom', { secret: SECRET });
    for (const headers of [
      {},
      signed('another secret', body),
      { ...signed(SECRET, body), 'x-zm-request-timestamp': '1' },
    ]) {
      const answer = await post(url, body, headers);
      expect([answer.status, answer.text.includes(hmac(SECRET, 'q'))]).toEqual([401, false]);
    }
  });
});

describe('Discord', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const config = { publicKey: publicKey.export({ format: 'der', type: 'spki' }).subarray(-32).toString('hex') };
  const signed = (body: string): Record<string, string> => {
    const seconds = String(Math.floor(server.clock.now().getTime() / 1000));
    return {
      'x-signature-timestamp': seconds,
      'x-signature-ed25519': sign(null, Buffer.from(seconds + body), privateKey).toString('hex'),
    };
  };

  it.each([
    ['a PING of an interaction', { type: 1, id: '1' }, 200, '{"type":1}'],
    ['a PING of an event', { type: 0, version: 1 }, 204, ''],
  ])('is answered %s', async (_, ping, status, text) => {
    const { id, url } = await preset('discord', { config });
    const body = JSON.stringify(ping);
    const answer = await post(url, body, signed(body));
    expect([answer.status, answer.text]).toEqual([status, text]);
    // Discord checks that it is refused as well.
    expect((await post(url, body, { ...signed(body), 'x-signature-ed25519': '0'.repeat(128) })).status).toBe(401);
    expect((await post(url, body)).status).toBe(401);
    expect(await eventsOf(id)).toEqual([]);
  });

  it('is answered an event with 204', async () => {
    const { id, url } = await preset('discord', { config });
    const body = JSON.stringify({ type: 1, event: { type: 'ENTITLEMENT_CREATE' } });
    expect((await post(url, body, signed(body))).status).toBe(204);
    expect(await eventsOf(id)).toHaveLength(1);
  });
});

describe('Asana', () => {
  const body = JSON.stringify({ events: [{ action: 'changed', resource: { resource_type: 'task' } }] });
  const shake = (url: string, secret: string): Promise<Answer> => post(url, '{}', { 'x-hook-secret': secret });
  const send = (url: string, secret: string): Promise<Answer> =>
    post(url, body, { 'x-hook-signature': hmac(secret, body) });

  it('gives its secret away once: before nobody is believed, after it nobody else', async () => {
    const { id, url } = await preset('asana');
    for (const secret of ['first-secret', '', 'undefined']) expect((await send(url, secret)).status).toBe(401);
    const first = await shake(url, 'first-secret');
    expect([first.status, first.headers.get('x-hook-secret')]).toEqual([200, 'first-secret']);
    expect((await send(url, 'first-secret')).status).toBe(200);
    const before = server.secrets.kept.size;
    const second = await shake(url, 'of-an-attacker');
    expect([second.status, second.headers.get('x-hook-secret')]).toEqual([401, null]);
    expect((await send(url, 'of-an-attacker')).status).toBe(401);
    // Strangers cannot make us write.
    expect(server.secrets.kept.size).toBe(before);
    // An answer that was lost: the sender asks again.
    expect((await shake(url, 'first-secret')).status).toBe(200);
    const stored = (await eventsOf(id)).map(({ data, metadata }) => ({ data, metadata }));
    expect(stored).toHaveLength(1);
    expect(JSON.stringify([stored, server.lines])).not.toContain('first-secret');
  });

  it('has one secret adopted of those that come at the same moment', async () => {
    const { id, url } = await preset('asana');
    const secrets = ['race-1', 'race-2', 'race-3', 'race-4'];
    const answers = await Promise.all(secrets.map((secret) => shake(url, secret)));
    const winners = secrets.filter((_, nth) => answers[nth]!.status === 200);
    expect(winners).toHaveLength(1);
    await server.see();
    const believed = await Promise.all(secrets.map((secret) => send(url, secret)));
    expect(secrets.filter((_, nth) => believed[nth]!.status === 200)).toEqual(winners);
    // Those of the others are thrown away.
    expect([...server.secrets.kept].filter(([reference]) => reference.startsWith(id)).map(([, text]) => text)).toEqual(
      winners,
    );
  });

  it('may give another one away for ten minutes once an administrator has opened it', async () => {
    const { id, url } = await preset('asana');
    await shake(url, 'before');
    await server.run(new OpenHandshake(id, AUTHOR), openHandshake);
    expect((await shake(url, 'after')).status).toBe(200);
    expect((await send(url, 'after')).status).toBe(200);
    expect((await send(url, 'before')).status).toBe(401);
    expect((await shake(url, 'third')).status).toBe(401);
    await server.run(new OpenHandshake(id, AUTHOR), openHandshake);
    server.clock.advance(600_001);
    expect((await shake(url, 'late')).status).toBe(401);
  });

  it('is not asked for a secret of more than 1 KiB', async () => {
    const { url } = await preset('asana');
    expect((await shake(url, 'a'.repeat(1025))).status).toBe(400);
    expect((await shake(url, 'short-enough')).status).toBe(200);
  });
});

describe('Notion', () => {
  it('gives its token away once, in a body that has nothing else, and it ends with the first event', async () => {
    const { id, url } = await preset('notion');
    expect((await post(url, { verification_token: 'secret_t', more: 1 })).status).toBe(401);
    expect(await post(url, { verification_token: 'secret_t' })).toMatchObject({ status: 200, text: '' });
    expect((await post(url, { verification_token: 'secret_u' })).status).toBe(401);
    expect(await server.stateOf(id)).toMatchObject({ handshake: { shown: true } });
    const body = JSON.stringify({ id: 'n1', type: 'page.created' });
    const forged = await post(url, body, { 'x-notion-signature': `sha256=${hmac('secret_u', body)}` });
    expect(forged.status).toBe(401);
    expect(await server.stateOf(id)).toMatchObject({ handshake: { shown: true } });
    const event = await post(url, body, { 'x-notion-signature': `sha256=${hmac('secret_t', body)}` });
    expect(event.status).toBe(202);
    expect(await server.stateOf(id)).not.toHaveProperty('handshake');
  });
});

describe('Amazon SNS', () => {
  const sns = async () => {
    server.answers.set(SNS_CERTIFICATE_URL, SNS_CERTIFICATE);
    server.answers.set(SNS_CONFIRM_URL, '<ConfirmSubscriptionResponse/>');
    server.opened.length = 0;
    return preset('aws-sns', { config: { topicArn: SNS_TOPIC } });
  };
  // As SNS does.
  const send = (url: string, message: object): Promise<Answer> =>
    post(url, message, { 'content-type': 'text/plain; charset=UTF-8' });
  const confirmation = (more: Record<string, string> = {}) =>
    snsMessage('SubscriptionConfirmation', server.clock.now(), more);

  it.each(['1', '2'])('is believed with signature version %s, whatever the content type', async (version) => {
    const { id, url } = await sns();
    const message = snsMessage('Notification', server.clock.now(), { SignatureVersion: version, Subject: 'Down' });
    expect((await send(url, message)).status).toBe(200);
    expect((await eventsOf(id))[0]).toMatchObject({
      metadata: { source: 'aws-sns' },
      data: { eventType: 'Notification', payload: { Message: 'It is down.' } },
    });
    expect((await send(url, { ...message, Message: 'All is well.' })).status).toBe(401);
    expect((await send(url, { ...message, SignatureVersion: '3' })).status).toBe(401);
  });

  it('has its subscription confirmed', async () => {
    const { id, url } = await sns();
    server.counters.take();
    expect((await send(url, confirmation())).status).toBe(200);
    expect(server.opened.at(-1)).toBe(SNS_CONFIRM_URL);
    expect(countsOf(id)).toEqual({ handshakes: 1 });
    expect(await eventsOf(id)).toEqual([]);
  });

  it.each([
    ['another host', 'https://evil.example/?Action=ConfirmSubscription'],
    ['a host that begins like it', 'https://sns.eu-west-1.amazonaws.com.evil.example/?Token=t'],
    ['a port', 'https://sns.eu-west-1.amazonaws.com:8443/?Token=t'],
    ['the usual port', 'https://sns.eu-west-1.amazonaws.com:443?Token=t'],
    ['a user', 'https://sns.eu-west-1.amazonaws.com@evil.example/?Token=t'],
    ['an empty user', 'https://@sns.eu-west-1.amazonaws.com/?Token=t'],
    ['a backslash', 'https://sns.eu-west-1.amazonaws.com\\@evil.example/'],
    ['plain HTTP', 'http://sns.eu-west-1.amazonaws.com/?Token=t'],
    ['no region', 'https://sns.amazonaws.com/?Token=t'],
    ['an address', 'https://169.254.169.254/?Token=t'],
    ['no URL', 'nonsense'],
  ])('never makes us open %s: it is shown to the owner', async (_, address) => {
    const { id, url } = await sns();
    expect((await send(url, confirmation({ SubscribeURL: address }))).status).toBe(200);
    expect(server.opened.filter((one) => one !== SNS_CERTIFICATE_URL)).toEqual([]);
    expect(await server.stateOf(id)).toMatchObject({ handshake: { confirmUrl: address } });
  });

  it.each([
    ['of another host', 'https://evil.example/SimpleNotificationService-0.pem'],
    ['of another path', 'https://sns.eu-west-1.amazonaws.com/other.pem'],
    ['with a query', `${SNS_CERTIFICATE_URL}?a=1`],
    ['with a port', SNS_CERTIFICATE_URL.replace('.com/', '.com:444/')],
    ['that cannot be had', SNS_CERTIFICATE_URL.replace('0123', '9999')],
  ])('is not believed with a certificate %s', async (_, address) => {
    const { url } = await sns();
    expect((await send(url, confirmation({ SigningCertURL: address }))).status).toBe(401);
    expect(server.opened.filter((one) => !one.startsWith('https://sns.eu-west-1.amazonaws.com/Simple'))).toEqual([]);
  });

  it('is refused for another topic, once it is older than an hour, and where it is not signed', async () => {
    const { url } = await sns();
    expect((await send(url, confirmation({ TopicArn: `${SNS_TOPIC}-2` }))).status).toBe(401);
    const old = new Date(server.clock.now().getTime() - 3_600_001);
    const late = await send(url, snsMessage('SubscriptionConfirmation', old));
    expect([late.status, (JSON.parse(late.text) as { code: string }).code]).toEqual([401, 'inbound.stale']);
    expect((await send(url, { ...confirmation(), Signature: 'AAAA' })).status).toBe(401);
    expect(server.opened).not.toContain(SNS_CONFIRM_URL);
  });
});
