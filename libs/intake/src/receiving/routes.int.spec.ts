import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import type { IntegrationSettings } from '#libs/events/src/shapes/integration-shape.js';
import { headersOf, parseHttpFile } from '#libs/plugin-sdk/src/http-file.js';
import { builtInProviders } from '#libs/providers/src/built-in.js';

import { githubHeaders, InboundServer, signature } from '../../testing/inbound-server.js';
import { undecodable } from './inbound.adapter.js';

const FIXTURES = new URL('../../../providers/fixtures/', import.meta.url);
const SLACK_SECRET = 'slack-fixture-signing-secret';

let server: InboundServer;
beforeAll(async () => {
  server = await new InboundServer([builtInProviders]).start();
});
afterAll(() => server.stop());

const post = (url: string, body: string | Buffer, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(url, { method: 'POST', body, headers });

/** Sends a saved request; those that sign their time were saved when the clock of the server stands. */
async function sendSaved(name: string, url: string): Promise<Response> {
  const file = parseHttpFile(readFileSync(new URL(name, FIXTURES)));
  return post(url, file.body, headersOf(file));
}
const at = (path: string): string => `${server.url}${path}`;

describe('the addresses of chats', () => {
  it('answer Slack as Slack expects: a challenge with itself, everything else with an empty 200', async () => {
    const { id, url } = await server.integration('slack', { secret: SLACK_SECRET });
    for (const address of [at(`/api/communicator/webhook/${id}`), at(`/webhooks/${id}/slack`), url]) {
      const challenge = await sendSaved('slack/url-verification.http', address);
      expect(challenge.status).toBe(200);
      expect(await challenge.json()).toEqual({ challenge: '3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P' });
      for (const name of ['message', 'slash-command', 'block-actions']) {
        const answer = await sendSaved(`slack/${name}.http`, address);
        expect([name, answer.status, await answer.text()]).toEqual([name, 200, '']);
        expect(answer.headers.get('x-millrace-event-ids')).toMatch(/^evt_[0-9a-z]{26}$/);
      }
    }
    const types = (await server.received()).filter(({ metadata }) => metadata.actor === `integration/${id}`);
    // Three addresses, one integration: each delivery is recorded once, and the challenge not at all.
    expect(types.map(({ type }) => type)).toEqual(['message.received', 'command.invoked', 'interaction.received']);
  });

  it('refuse what is not signed as a problem', async () => {
    const { id } = await server.integration('slack', { secret: 'another secret' });
    const answer = await sendSaved('slack/message.http', at(`/api/communicator/webhook/${id}`));
    expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([
      401,
      'inbound.signature_mismatch',
    ]);
  });

  it('count and keep what Slack says of another try', async () => {
    const { id } = await server.integration('slack', { secret: SLACK_SECRET });
    await sendSaved('slack/message-retried.http', at(`/api/communicator/webhook/${id}`));
    const event = (await server.received()).at(-1)!;
    expect(event.metadata.request).toMatchObject({
      retry: '1',
      headers: { 'x-slack-retry-num': '1', 'x-slack-retry-reason': 'http_timeout' },
    });
  });

  it('are there for chats alone, and the one for bots for bots alone', async () => {
    const { id: github } = await server.integration('github');
    const { id: slack } = await server.integration('slack');
    const nowhere = [
      `/api/communicator/webhook/${github}`,
      `/api/communicator/webhook/int_${'0'.repeat(26)}`,
      `/api/communicator/botframework/${slack}/messages`,
      `/api/communicator/botframework/${slack}`,
      `/webhooks/${github}/gitlab`,
    ];
    for (const path of nowhere) expect([path, (await post(at(path), '{}')).status]).toEqual([path, 404]);
  });

  it('ask a bot for its token', async () => {
    const { id } = await server.integration('botframework', { config: { appId: 'app' } });
    const url = at(`/api/communicator/botframework/${id}/messages`);
    const bare = await post(url, '{"type":"message"}', { 'content-type': 'application/json' });
    expect(bare.status).toBe(401);
    // Without a way out no key can be fetched: that is not the sender's fault, and it may try again.
    const answer = await sendSaved('botframework/message.http', url);
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '10']);
    expect(await answer.json()).toMatchObject({ code: 'inbound.keys_unavailable' });
  });
});

describe('an MCP server', () => {
  it('refuses every webhook with 405 and says where to go', async () => {
    const { url } = await server.integration('mcp_server');
    const answer = await post(url, '{}', { 'content-type': 'application/json' });
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, '']);
    expect(await answer.json()).toMatchObject({
      code: 'inbound.not_inbound',
      detail: expect.stringContaining('/api/v1/mcp'),
    });
  });
});

describe('a batch of CloudEvents', () => {
  const one = (id: string, more = '') =>
    `{"specversion":"1.0","id":"${id}","source":"/orders","type":"com.acme.shipped"${more}}`;
  const headers = { 'content-type': 'application/cloudevents-batch+json' };
  const send = async (url: string, body: string) => {
    const answer = await post(url, body, headers);
    return { status: answer.status, ...((await answer.json()) as { eventIds: string[]; duplicate: boolean }) };
  };

  it('is recorded element by element: what was there before is not recorded again', async () => {
    const { url, id } = await server.integration('cloudevents');
    const first = await send(url, `[${one('1')},${one('2', ',"data":{"n":12345678901234567890}')}]`);
    expect(first).toMatchObject({ status: 202, duplicate: false });
    expect(first.eventIds).toHaveLength(2);
    const overlapping = await send(url, `[${one('2')},${one('3')}]`);
    expect(overlapping).toMatchObject({ status: 202, duplicate: false });
    expect(overlapping.eventIds[0]).toBe(first.eventIds[1]);
    const again = await send(url, `[${one('1')},${one('3')}]`);
    expect(again).toEqual({ status: 202, duplicate: true, eventIds: [first.eventIds[0], overlapping.eventIds[1]] });
    const recorded = (await server.received()).filter(({ metadata }) => metadata.actor === `integration/${id}`);
    expect(recorded).toHaveLength(3);
    expect(recorded[1]!.dataJson).toContain('"n":12345678901234567890');
  });

  it('is refused whole where one element is no CloudEvent', async () => {
    const { url, id } = await server.integration('cloudevents');
    const answer = await post(url, `[${one('1')},{"id":"2"}]`, headers);
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ code: 'inbound.unreadable', detail: expect.stringContaining('ce-id') });
    expect((await server.received()).some(({ metadata }) => metadata.actor === `integration/${id}`)).toBe(false);
  });
});

describe('a CloudEvent without data', () => {
  const attributes = { specversion: '1.0', source: '/orders', type: 'com.acme.shipped' };
  const binary = Object.fromEntries(Object.entries(attributes).map(([name, value]) => [`ce-${name}`, value]));
  const ask = (url: string, headers: Record<string, string>, body?: string) =>
    fetch(url, { method: 'POST', headers, ...(body === undefined ? {} : { body: Buffer.from(body) }) });
  const last = async () => (await server.received()).at(-1)!;

  it('is accepted in binary mode, with a content type and without, and once', async () => {
    const { url } = await server.integration('cloudevents', { secret: 'right' });
    const signed = { ...binary, 'x-webhook-signature': signature('', 'right') };
    for (const [id, headers] of Object.entries({ 1: {}, 2: { 'content-type': 'application/json' } })) {
      const answer = await ask(url, { ...signed, 'ce-id': id, ...headers });
      expect([answer.status, await answer.json()]).toMatchObject([202, { duplicate: false }]);
      expect((await last()).data).toMatchObject({ eventType: attributes.type, payload: null });
      const again = await ask(url, { ...signed, 'ce-id': id, ...headers });
      expect(await again.json()).toMatchObject({ duplicate: true });
    }
    expect((await ask(url, { ...binary, 'ce-id': '3' })).status).toBe(401);
  });

  it('is recorded as a webhook where its type cannot do without', async () => {
    const { url } = await server.integration('cloudevents');
    expect((await ask(url, { ...binary, 'ce-id': '1', 'ce-type': 'message.received' })).status).toBe(202);
    expect(await last()).toMatchObject({ type: 'webhook.received', data: { eventType: 'message.received' } });
  });

  it("has a type of one's own, where its data fits the schema", async () => {
    const { url } = await server.integration('cloudevents');
    server.ownTypes.set('developer.added', {
      type: 'object',
      required: ['login'],
      properties: { login: { type: 'string' } },
      additionalProperties: false,
    });
    const send = (id: string, data: object) =>
      ask(
        url,
        { ...binary, 'content-type': 'application/json', 'ce-id': id, 'ce-type': 'developer.added' },
        JSON.stringify(data),
      );
    expect((await send('own-1', { login: 'ann' })).status).toBe(202);
    expect(await last()).toMatchObject({
      type: 'developer.added',
      data: { login: 'ann', eventType: 'developer.added', payload: { login: 'ann' } },
      metadata: { schemaVersion: 2 },
    });
    expect((await send('own-2', { login: 3 })).status).toBe(202);
    expect(await last()).toMatchObject({ type: 'webhook.received', data: { eventType: 'developer.added' } });
    server.ownTypes.clear();
    await send('own-3', { login: 'ann' });
    expect(await last()).toMatchObject({ type: 'webhook.received' });
  });

  it('is none where a batch is empty: that is accepted, and nothing is recorded', async () => {
    const { url } = await server.integration('cloudevents');
    const before = (await server.received()).length;
    const answer = await ask(url, { 'content-type': 'application/cloudevents-batch+json' }, '[]');
    expect([answer.status, await answer.json()]).toEqual([202, { eventIds: [], duplicate: false }]);
    expect(await server.received()).toHaveLength(before);
  });

  it('is accepted in structured mode and in a batch', async () => {
    const { url } = await server.integration('cloudevents');
    const one = { ...attributes, id: '1' };
    const structured = await ask(url, { 'content-type': 'application/cloudevents+json' }, JSON.stringify(one));
    expect([structured.status, (await last()).data]).toMatchObject([202, { payload: one }]);
    const two = { ...attributes, id: '2', data: null };
    const batch = await ask(url, { 'content-type': 'application/cloudevents-batch+json' }, JSON.stringify([two]));
    expect([batch.status, (await last()).data]).toMatchObject([202, { payload: two }]);
  });

  it('has to say all that it is, as any other', async () => {
    const { url } = await server.integration('cloudevents');
    const answer = await ask(url, binary);
    expect([answer.status, await answer.json()]).toMatchObject([400, { code: 'inbound.unreadable' }]);
    expect((await ask(url, {})).status).toBe(400);
    expect((await ask(url, { 'content-type': 'application/json' })).status).toBe(400);
  });
});

describe('a request as common senders write it', () => {
  const RECORDED = new URL('../../testing/fixtures/senders/', import.meta.url);

  it.each([
    ['by-bitbucket.http', 'repo:push', '{"a":1}'],
    ['by-content-encoding-identity-caps.http', 'webhook', '{"a":1}'],
    ['by-content-encoding-utf8.http', 'webhook', '{"a":1}'],
    ['by-empty.http', 'webhook', '{}'],
    ['by-sig-uppercase-hex.http', 'webhook', '{"a":1}'],
  ])('is accepted: %s', async (name, eventType, payload) => {
    const { url } = await server.integration('generic_webhook', { secret: 'gen-secret-0123' });
    const file = parseHttpFile(readFileSync(new URL(name, RECORDED)));
    const answer = await post(url, file.body, headersOf(file));
    expect([answer.status, await answer.json()]).toEqual([202, { eventIds: [expect.any(String)], duplicate: false }]);
    const { data, dataJson } = (await server.received()).at(-1)!;
    expect(data).toMatchObject({ eventType });
    expect(dataJson).toContain(`"payload":${payload}}`);
  });

  it('may name its event in UTF-8', async () => {
    const { url } = await server.integration('generic_webhook');
    const type = Buffer.from('störung.☃').toString('latin1');
    await post(url, '{}', { 'content-type': 'application/json', 'x-event-type': type });
    const { data, metadata } = (await server.received()).at(-1)!;
    expect(data).toMatchObject({ eventType: 'störung.☃' });
    expect(metadata.request!.headers).toMatchObject({ 'x-event-type': 'störung.☃' });
  });
});

describe('an address', () => {
  it('takes POST alone, and says so without saying whether anything is received there', async () => {
    const { url, id } = await server.integration('generic_webhook');
    const addresses = [url, at('/api/v1/webhooks/inbound/wh_nothing'), at(`/webhooks/${id}`), at('/api/webhook/none')];
    for (const method of ['GET', 'PUT', 'DELETE', 'PATCH'])
      for (const address of addresses) {
        const answer = await fetch(address, { method });
        const status = address.includes('/api/webhook/') ? 400 : 405;
        expect([method, answer.status, answer.headers.get('allow')]).toEqual([
          method,
          status,
          status === 405 ? 'POST' : null,
        ]);
      }
  });

  it('answers HEAD with 200 where something receives, and as any other where nothing does', async () => {
    const { url, id } = await server.integration('generic_webhook', { customPath: 'heads' });
    const receiving = [url, `${url}/`, at(`/webhooks/${id}`), at('/api/webhook/heads')];
    const nothing = [at('/api/v1/webhooks/inbound/wh_nothing'), at('/webhooks/int_nothing'), at('/api/webhook/none')];
    const before = (await server.received()).length;
    const head = async (address: string) => {
      const answer = await fetch(address, { method: 'HEAD' });
      return [answer.status, await answer.text()];
    };
    for (const address of receiving) expect([address, await head(address)]).toEqual([address, [200, '']]);
    for (const address of nothing) expect([address, await head(address)]).toEqual([address, [404, '']]);
    const { url: mcp } = await server.integration('mcp_server');
    expect(await head(mcp)).toEqual([405, '']);
    const { url: locked } = await server.integration('generic_webhook', { allowedSources: ['203.0.113.7'] });
    expect(await head(locked)).toEqual([403, '']);
    expect(await server.received()).toHaveLength(before);
  });

  it('grants a sender of CloudEvents that it may deliver', async () => {
    const options = (address: string, headers: Record<string, string>) =>
      fetch(address, { method: 'OPTIONS', headers });
    const asked = { 'webhook-request-origin': 'eventemitter.example.com', 'webhook-request-rate': '120' };
    const { url } = await server.integration('cloudevents', { secret: 'right' });
    const granted = await options(url, asked);
    expect([granted.status, await granted.text()]).toEqual([200, '']);
    expect(Object.fromEntries(granted.headers)).toMatchObject({
      allow: 'POST',
      'webhook-allowed-origin': 'eventemitter.example.com',
      'webhook-allowed-rate': '*',
    });
    const withoutRate = await options(url, { 'webhook-request-origin': 'eventemitter.example.com' });
    expect(withoutRate.headers.get('webhook-allowed-rate')).toBeNull();
    const { url: limited } = await server.integration('cloudevents', { rateLimit: { limit: 5, perMs: 1_000 } });
    expect((await options(limited, asked)).headers.get('webhook-allowed-rate')).toBe('300');
  });

  it('refuses OPTIONS where no such permission is asked for or given', async () => {
    const { url } = await server.integration('cloudevents');
    const { url: other } = await server.integration('generic_webhook');
    const asked = { 'webhook-request-origin': 'eventemitter.example.com' };
    for (const [address, headers] of [
      [url, {}],
      [url, { 'webhook-request-origin': 'x'.repeat(300) }],
      [url, { 'webhook-request-origin': 'a b' }],
      [other, asked],
      [at('/api/v1/webhooks/inbound/wh_nothing'), asked],
    ] as const) {
      const answer = await fetch(address, { method: 'OPTIONS', headers });
      expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'POST']);
    }
  });

  it('that cannot be decoded is answered as one at which nothing is received', async () => {
    const unknown = await post(at('/api/v1/webhooks/inbound/wh_nothing'), '');
    const written = undecodable('/api/v1/webhooks/inbound/%zz');
    expect(written).toMatchObject({ status: 404, body: await unknown.text() });
    expect(undecodable('/api/webhook/%zz')).toMatchObject({
      status: 404,
      body: expect.stringContaining('"success":false'),
    });
    expect(undecodable('/api/v1/rules/%zz')).toBeUndefined();
  });
});

describe('the order of work', () => {
  const settings: Partial<IntegrationSettings> & { secret: string } = {
    secret: 'right',
    allowedSources: ['203.0.113.7'],
    rateLimit: { limit: 1, perMs: 60_000 },
  };
  const broken = '{"broken';
  const code = async (answer: Response) => ((await answer.json()) as { code: string }).code;

  it('is: address, size, source, rate, signature, content type, content', async () => {
    // Everything is wrong at once; then what was refused is put right, one thing after the other.
    const big = `"${'x'.repeat(1024 * 1024)}"`;
    expect(await code(await post(at('/webhooks/int_none'), big))).toBe('inbound.not_found');
    const { url: locked } = await server.integration('github', settings);
    expect(await code(await post(locked, big))).toBe('inbound.body_too_large');
    expect(await code(await post(locked, broken))).toBe('inbound.source_address');
    const open = { ...settings, allowedSources: ['127.0.0.1', '::1'] };
    const { url } = await server.integration('github', open);
    expect(await code(await post(url, broken))).toBe('inbound.signature_missing');
    expect(await code(await post(url, broken))).toBe('inbound.rate_limited');
    const { url: signed } = await server.integration('github', { ...open, rateLimit: { limit: 100, perMs: 60_000 } });
    const headers = { 'x-hub-signature-256': signature(broken, 'wrong'), 'content-type': 'text/plain' };
    expect(await code(await post(signed, broken, headers))).toBe('inbound.signature_mismatch');
    const right = { ...headers, 'x-hub-signature-256': signature(broken, 'right') };
    expect(await code(await post(signed, broken, right))).toBe('inbound.unsupported_type');
    expect(await code(await post(signed, broken, githubHeaders('push', broken, 'right')))).toBe('inbound.not_json');
  });

  it('does not unpack what is compressed: a bomb of 64 MiB is refused in clear words', async () => {
    const { url } = await server.integration('generic_webhook');
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));
    const answer = await post(url, bomb, { 'content-type': 'application/json', 'content-encoding': 'gzip' });
    expect([answer.status, await code(answer)]).toEqual([415, 'inbound.unsupported_encoding']);
  });
});

describe('an address at which nothing receives', () => {
  it('is answered with 503 while the table of integrations is incomplete: what is looked for may be missing there', async () => {
    const addresses = [
      `/api/v1/webhooks/inbound/wh_${'x'.repeat(32)}`,
      '/webhooks/int_nothing',
      '/agents/agt_nothing/webhook',
    ];
    const { url } = await server.integration('generic_webhook');
    server.table.incomplete = true;
    try {
      for (const address of addresses) {
        const answer = await post(at(address), '{}', { 'content-type': 'application/json' });
        expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '5']);
      }
      expect((await post(url, '{}', { 'content-type': 'application/json' })).status).toBe(202);
    } finally {
      server.table.incomplete = false;
    }
    for (const address of addresses) expect((await post(at(address), '{}')).status).toBe(404);
  });
});
