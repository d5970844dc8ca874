import { once } from 'node:events';
import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { streams } from '#libs/events/src/streams.js';
import { Transient } from '#libs/kernel/src/errors.js';
import { defineProvider } from '#libs/plugin-sdk/src/define-provider.js';
import { builtInProviders } from '#libs/providers/src/built-in.js';

import { AUTHOR, githubHeaders, InboundServer, signature } from '../../testing/inbound-server.js';
import { DisableIntegration, disable } from '../integration/integration.js';

const SECRET = 'a-secret-of-some-length';
const PUSH = JSON.stringify({
  ref: 'refs/heads/feature/login',
  created: false,
  deleted: false,
  forced: false,
  commits: [],
  repository: { id: 1, name: 'app', full_name: 'acme/app' },
});

/** Talks in its own way: a challenge, an answer of its own, and bugs. */
const odd = defineProvider({
  name: 'odd',
  description: 'For specs.',
  verify: ({ headers }) => {
    if (headers['x-odd'] === 'throw') throw new Error('a bug in verify');
    return Promise.resolve({ ok: true, authentication: 'odd' });
  },
  normalise: ({ value, request }) => {
    if (request.headers['x-odd'] === 'normalise') throw new Error('a bug in normalise');
    if (request.headers['x-odd'] === 'bigint')
      return { eventType: 'odd', events: [{ type: 'webhook.received', subject: '', data: { n: 1n } as never }] };
    if (request.headers['x-odd'] === 'shape') return { eventType: 7, events: 'none' } as never;
    const {
      challenge,
      type = 'webhook.received',
      data = {},
    } = value as {
      challenge?: string;
      type?: string;
      data?: object;
    };
    return {
      eventType: 'odd',
      retry: request.headers['x-retry'],
      events: challenge === undefined ? [{ type, subject: 'odd/1', data: data as never }] : [],
    };
  },
  respond: ({ value }) => {
    const { challenge } = value as { challenge?: string };
    return challenge === undefined ? undefined : { status: 200, contentType: 'text/plain', body: challenge };
  },
});

let server: InboundServer;
beforeAll(async () => {
  server = await new InboundServer([builtInProviders, { name: 'odd', sdk: 1, providers: [odd] }]).start();
});
afterAll(() => server.stop());

const post = (url: string, body: string | Buffer, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(url, { method: 'POST', body, headers });

const CLOUD_EVENT = { 'ce-specversion': '1.0', 'ce-id': '1', 'ce-source': '/orders', 'ce-type': 'com.acme.shipped' };

const json = { 'content-type': 'application/json' };

interface Receipt {
  eventIds: string[];
  duplicate: boolean;
}
const receiptOf = async (answer: Response): Promise<Receipt> => {
  expect(answer.status).toBe(202);
  return (await answer.json()) as Receipt;
};
const problemOf = async (answer: Response) => {
  expect(answer.headers.get('content-type')).toContain('application/problem+json');
  const problem = (await answer.json()) as {
    status: number;
    code: string;
    detail: string;
    title: string;
    type: string;
  };
  expect(problem.status).toBe(answer.status);
  expect(problem.detail.length).toBeGreaterThan(30);
  return problem;
};

describe('a request that is accepted', () => {
  it('is stored with its payload byte for byte, its neutral fields and how it came in', async () => {
    const { url, id } = await server.integration('github', { secret: SECRET });
    const body = `{ "ref":"refs/heads/main", "n": 12345678901234567890, "twice":1, "twice":2,\n "repository":{"full_name":"acme/app"} }`;
    const answer = await post(url, body, githubHeaders('push', body, SECRET, 'delivery-1'));
    const { eventIds, duplicate } = await receiptOf(answer);
    expect(duplicate).toBe(false);
    expect(eventIds).toHaveLength(1);
    const event = (await server.received()).at(-1)!;
    expect(event.type).toBe('git.push');
    expect(event.dataJson).toContain(`"payload":${body}}`);
    expect(event.data).toMatchObject({
      provider: 'github',
      eventType: 'push',
      deliveryId: 'delivery-1',
      sourceIp: '127.0.0.1',
      branch: 'main',
      repository: { fullName: 'acme/app' },
    });
    expect(event.metadata).toMatchObject({
      source: 'github',
      subject: 'repository/acme/app',
      orgId: 'org_1',
      actor: `integration/${id}`,
      hop: 0,
      $correlationId: event.id,
      request: {
        authentication: 'hmac-sha256',
        sourceIp: '127.0.0.1',
        headers: { 'x-github-event': 'push', 'x-github-delivery': 'delivery-1' },
      },
    });
    expect(event.metadata.request!.bodySha256).toMatch(/^[0-9a-f]{64}$/);
    expect(event.metadataJson).not.toContain('x-hub-signature');
    expect(event.metadataJson + event.dataJson).not.toContain(SECRET);
  });

  it('is recorded once, for ever: the same delivery again gets the same ids', async () => {
    const { url } = await server.integration('github', { secret: SECRET });
    const headers = githubHeaders('push', PUSH, SECRET, 'same');
    const first = await receiptOf(await post(url, PUSH, headers));
    const before = (await server.received()).length;
    const second = await receiptOf(await post(url, PUSH, headers));
    expect(second).toEqual({ eventIds: first.eventIds, duplicate: true });
    expect(await server.received()).toHaveLength(before);
  });

  it('is recorded once also when the body differs the second time: what came first stays', async () => {
    const { url } = await server.integration('generic_webhook');
    const key = { 'idempotency-key': 'one', 'content-type': 'application/x-ndjson' };
    const first = await receiptOf(await post(url, '{"a":1}\n{"a":2}', key));
    expect(first.eventIds).toHaveLength(2);
    expect(await receiptOf(await post(url, '{"b":1}\n{"b":2}\n{"b":3}', key))).toEqual({ ...first, duplicate: true });
    expect(await receiptOf(await post(url, '{"b":1}', key))).toMatchObject({ duplicate: true });
  });

  it('is new for another integration, though the delivery id is the same', async () => {
    const one = await server.integration('github');
    const two = await server.integration('github');
    const headers = githubHeaders('push', PUSH, SECRET, 'shared');
    const first = await receiptOf(await post(one.url, PUSH, headers));
    const second = await receiptOf(await post(two.url, PUSH, headers));
    expect(second.duplicate).toBe(false);
    expect(second.eventIds).not.toEqual(first.eventIds);
  });

  it('is recorded once when it comes twenty times at the same moment', async () => {
    const { url } = await server.integration('github', { secret: SECRET });
    const headers = githubHeaders('push', PUSH, SECRET, 'burst');
    const answers = await Promise.all(Array.from({ length: 20 }, () => post(url, PUSH, headers).then(receiptOf)));
    expect(answers.filter(({ duplicate }) => !duplicate)).toHaveLength(1);
    expect(new Set(answers.flatMap(({ eventIds }) => eventIds)).size).toBe(1);
  });

  it('is new every time where the sender gives no delivery id', async () => {
    const { url } = await server.integration('generic_webhook');
    const [first, second] = [
      await receiptOf(await post(url, '{}', json)),
      await receiptOf(await post(url, '{}', json)),
    ];
    expect(second.duplicate).toBe(false);
    expect(second.eventIds).not.toEqual(first.eventIds);
  });

  it("is recognised by the integration's own dedupeKey, which goes before the sender's id", async () => {
    const { url } = await server.integration('generic_webhook', { dedupeKey: 'alert.id' });
    const first = await receiptOf(await post(url, '{"alert":{"id":7}}', { ...json, 'idempotency-key': 'a' }));
    const second = await receiptOf(await post(url, '{"alert":{"id":7},"try":2}', { ...json, 'idempotency-key': 'b' }));
    expect(second).toEqual({ eventIds: first.eventIds, duplicate: true });
    // Without a value the sender's id counts again.
    expect(await receiptOf(await post(url, '{"other":1}', { ...json, 'idempotency-key': 'b' }))).toMatchObject({
      duplicate: false,
    });
  });

  it('may be a form with the JSON in its field payload, as GitHub sends it', async () => {
    const { url } = await server.integration('github', { secret: SECRET });
    const body = new URLSearchParams({ payload: PUSH }).toString();
    const headers = { ...githubHeaders('push', body, SECRET), 'content-type': 'application/x-www-form-urlencoded' };
    await receiptOf(await post(url, body, headers));
    const event = (await server.received()).at(-1)!;
    expect(event.type).toBe('git.push');
    expect(event.dataJson).toContain(`"payload":${PUSH}}`);
  });

  it('may be a form of any fields', async () => {
    const { url } = await server.integration('generic_webhook');
    await receiptOf(
      await post(url, 'type=alert&tag=a&tag=b&text=caf%C3%A9+au+lait&__proto__=x', {
        'content-type': 'application/x-www-form-urlencoded; charset=UTF-8',
      }),
    );
    const event = (await server.received()).at(-1)!;
    expect(event.data).toMatchObject({ eventType: 'alert' });
    expect(event.dataJson).toContain(
      '"payload":{"type":"alert","tag":["a","b"],"text":"café au lait","__proto__":"x"}',
    );
  });

  it('may be NDJSON: one event a line, each with the type of its line, in one append', async () => {
    const { url } = await server.integration('generic_webhook');
    const { eventIds } = await receiptOf(
      await post(url, '{"type":"a"}\r\n\n{"type":"b","n":9007199254740993}\n', {
        'content-type': 'application/x-ndjson',
      }),
    );
    expect(eventIds).toHaveLength(2);
    const [first, second] = (await server.received()).slice(-2);
    expect(first!.stream).toBe(second!.stream);
    expect([first, second].map((event) => (event!.data as { eventType?: string }).eventType)).toEqual(['a', 'b']);
    expect(second!.dataJson).toContain('"payload":{"type":"b","n":9007199254740993}');
  });

  it('may hold keys that mean something to JavaScript, and lone surrogates', async () => {
    const { url } = await server.integration('generic_webhook');
    const body = '{"__proto__":{"polluted":true},"constructor":{"prototype":{"x":1}},"s":"\\ud800","z":"\\u0000"}';
    await receiptOf(await post(url, body, json));
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
    expect((await server.received()).at(-1)!.dataJson).toContain(`"payload":${body}}`);
  });

  it.each([
    ['text/plain', 'disk full', '{"text":"disk full"}'],
    ['application/xml', '<a>é</a>', '{"text":"<a>é</a>"}'],
    ['not a media type', 'hello', '{"text":"hello"}'],
    ['text/plain', '{"a":1}', '{"text":"{\\"a\\":1}"}'],
    ['application/octet-stream', Buffer.from([255, 0, 128]), '{"base64":"/wCA"}'],
    ['', ' { "a": 1187436509226700801 }', ' { "a": 1187436509226700801 }'],
    ['', 'hello', '{"text":"hello"}'],
    ['application/json', '', '{}'],
    ['', '', '{}'],
  ])('may be of any content type: %j %j', async (contentType, body, payload) => {
    const { url } = await server.integration('generic_webhook', { secret: SECRET });
    const headers = {
      ...(contentType !== '' && { 'content-type': contentType }),
      'x-webhook-signature': signature(body, SECRET),
    };
    await receiptOf(await fetch(url, { method: 'POST', body: Buffer.from(body), headers }));
    const event = (await server.received()).at(-1)!;
    expect(event.dataJson).toContain(`"payload":${payload}}`);
    expect(event.metadata.request!.headers['content-type']).toBe(contentType === '' ? undefined : contentType);
    const wrong = { ...headers, 'x-webhook-signature': signature(`${String(body)} `, SECRET) };
    expect((await fetch(url, { method: 'POST', body: Buffer.from(body), headers: wrong })).status).toBe(401);
  });

  it('may be JSON under another content type also where its provider knows JSON alone', async () => {
    const { url } = await server.integration('github', { secret: SECRET });
    await receiptOf(await post(url, PUSH, { ...githubHeaders('push', PUSH, SECRET), 'content-type': 'text/plain' }));
    expect((await server.received()).at(-1)!.type).toBe('git.push');
  });

  it('may begin with a byte order mark, which is no part of its payload', async () => {
    const { url } = await server.integration('generic_webhook');
    await receiptOf(await post(url, '\ufeff{"a":1}', json));
    expect((await server.received()).at(-1)!.dataJson).toContain('"payload":{"a":1}}');
  });

  it('may show the secret as a bearer token, or be signed in either header', async () => {
    const { url } = await server.integration('generic_webhook', { secret: SECRET });
    await receiptOf(await post(url, '{}', { ...json, authorization: `Bearer ${SECRET}` }));
    await receiptOf(await post(url, '{}', { ...json, 'x-webhook-signature': signature('{}', SECRET) }));
    await receiptOf(await post(url, '{}', { ...json, 'x-hub-signature-256': signature('{}', SECRET) }));
    const kinds = (await server.received()).slice(-3).map(({ metadata }) => metadata.request!.authentication);
    expect(kinds).toEqual(['bearer', 'hmac-sha256', 'hmac-sha256']);
  });

  it.each(['utf8', 'latin1'] as const)('may show a secret with any letters, in %s', async (encoding) => {
    const secret = 'geheim-ä123-à';
    const shown = Buffer.from(secret, encoding).toString('latin1');
    for (const [provider, headers] of [
      ['gitlab', { 'x-gitlab-token': shown }],
      ['generic_webhook', { authorization: `Bearer ${shown}` }],
      ['cloudevents', { authorization: `Bearer ${shown}`, ...CLOUD_EVENT }],
    ] as const) {
      const { url } = await server.integration(provider, { secret });
      // Each character of a header that `fetch` is given is one byte.
      await receiptOf(await post(url, '{}', { ...json, ...headers }));
      const wrong = Object.fromEntries(
        Object.entries(headers).map(([name, value]) => [name, value.replace('123', '124')]),
      );
      expect((await post(url, '{}', { ...json, ...wrong })).status).toBe(401);
    }
  });

  it('takes its place at the id of the integration and at its custom path, in the form of each', async () => {
    const { id } = await server.integration('generic_webhook', { customPath: 'my-alerts' });
    await receiptOf(await post(`${server.url}/webhooks/${id}`, '{}', json));
    await receiptOf(await post(`${server.url}/webhooks/${id}/generic_webhook`, '{}', json));
    expect((await post(`${server.url}/webhooks/${id}/github`, '{}', json)).status).toBe(404);
    const custom = await post(`${server.url}/api/webhook/my-alerts`, '{}', json);
    expect(custom.status).toBe(200);
    expect(await custom.json()).toMatchObject({ success: true, data: { eventIds: [expect.any(String)] } });
    for (const path of [`/webhooks/${id}/`, `/webhooks/${id}/generic_webhook/`])
      await receiptOf(await post(server.url + path, '{}', json));
    expect((await post(`${server.url}/webhooks/${id}//`, '{}', json)).status).toBe(404);
    expect((await post(`${server.url}/api/webhook/my-alerts/`, '{}', json)).status).toBe(200);
    const refused = await post(`${server.url}/api/webhook/my-alerts`, 'no', json);
    expect([refused.status, await refused.json()]).toEqual([400, { success: false, message: expect.any(String) }]);
    const unknown = await post(`${server.url}/api/webhook/others`, '{}', json);
    expect([unknown.status, await unknown.json()]).toEqual([404, { success: false, message: expect.any(String) }]);
  });
});

describe('a request that is refused', () => {
  it('gets one and the same 404 for unknown, malformed and disabled slugs, whatever its body', async () => {
    const { id, slug } = await server.integration('github', { secret: SECRET });
    await server.run(new DisableIntegration(id, AUTHOR), disable);
    const paths = [slug, `wh_${'x'.repeat(32)}`, 'no', '%00', 'a'.repeat(300), 'a/b/c', ''];
    const answers = await Promise.all(
      paths.map((path) =>
        post(`${server.url}/api/v1/webhooks/inbound/${path}`, 'x'.repeat(path === 'no' ? 2 ** 21 : 3), json),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual(paths.map(() => 404));
    expect(new Set(await Promise.all(answers.map((answer) => answer.text()))).size).toBe(1);
  });

  it.each([
    ['no signature', {}, 'inbound.signature_missing'],
    ['no prefix', { 'x-hub-signature-256': 'a'.repeat(64) }, 'inbound.signature_malformed'],
    ['an empty one', { 'x-hub-signature-256': '' }, 'inbound.signature_malformed'],
    ['another secret', { 'x-hub-signature-256': signature(PUSH, 'another') }, 'inbound.signature_mismatch'],
    ['another body', { 'x-hub-signature-256': signature(`${PUSH} `, SECRET) }, 'inbound.signature_mismatch'],
  ])('gets 401 with %s', async (_, headers, code) => {
    const { url } = await server.integration('github', { secret: SECRET });
    const before = (await server.received()).length;
    const answer = await post(url, PUSH, { ...json, 'x-github-event': 'push', ...(headers as Record<string, string>) });
    expect(answer.status).toBe(401);
    expect(await problemOf(answer)).toMatchObject({ code });
    expect(await server.received()).toHaveLength(before);
  });

  it('gets 401 with a wrong bearer token, and for a signature where only tokens are taken', async () => {
    const { url } = await server.integration('generic_webhook', { secret: SECRET, config: { bearer: true } });
    for (const headers of [
      { authorization: 'Bearer wrong' },
      { authorization: 'Basic abc' },
      { 'x-webhook-signature': signature('{}', SECRET) },
    ])
      expect((await post(url, '{}', { ...json, ...(headers as Record<string, string>) })).status).toBe(401);
    await receiptOf(await post(url, '{}', { ...json, authorization: `bearer ${SECRET}` }));
  });

  it('gets 413 over 1 MiB, with and without a length said beforehand, and is not parsed', async () => {
    const { url } = await server.integration('generic_webhook');
    const large = Buffer.alloc(1024 * 1024 + 1, 0x20);
    const answer = await post(url, large, json);
    expect(answer.status).toBe(413);
    expect((await problemOf(answer)).detail).toContain('1 MiB');
    const chunked = await fetch(url, {
      method: 'POST',
      headers: json,
      body: new Blob([large]).stream(),
      duplex: 'half',
    } as never);
    expect(chunked.status).toBe(413);
  });

  it('gets 413 in clear words if its event is much larger than the body', async () => {
    const { url } = await server.integration('generic_webhook');
    // Six bytes of JSON for each.
    const answer = await post(url, Buffer.alloc(1024 * 1024, 1), { 'content-type': 'text/plain' });
    expect([answer.status, (await problemOf(answer)).code]).toEqual([413, 'inbound.event_too_large']);
  });

  it.each([
    ['JSON', 'application/json', `"${'x'.repeat(1024 * 1024 - 2)}"`],
    [
      'lines',
      'application/x-ndjson',
      `${JSON.stringify({ text: 'x'.repeat(1035) })}\n`.repeat(1000).padEnd(1024 * 1024),
    ],
    ['text', 'text/plain', 'line\n'.repeat(1024 * 256).slice(0, 1024 * 1024)],
    ['bytes', 'image/png', Buffer.alloc(1024 * 1024, 0xff)],
  ])('is stored whole at exactly 1 MiB, as %s', async (_, type, body) => {
    expect(Buffer.byteLength(body)).toBe(1024 * 1024);
    const { url } = await server.integration('generic_webhook');
    await receiptOf(await post(url, body, { 'content-type': type, 'idempotency-key': 'exact' }));
    expect((await server.received()).at(-1)!.data).not.toHaveProperty('truncated');
  });

  it('is stored without long neutral lists rather than refused when these make the event too large', async () => {
    const { url } = await server.integration('github');
    const files = Array.from({ length: 14_000 }, (_, index) => `src/deeply/nested/folder/file-${index}.ts`);
    const push = { ...JSON.parse(PUSH), commits: [{ id: 'a'.repeat(40), message: 'all', added: files }] } as object;
    const body = JSON.stringify(push);
    expect(body.length).toBeGreaterThan(1024 * 512);
    await receiptOf(await post(url, body, githubHeaders('push', body, SECRET)));
    const event = (await server.received()).at(-1)!;
    expect(event.type).toBe('git.push');
    expect(event.data).toMatchObject({ truncated: true, commits: [{ message: 'all' }] });
    // Not known is absent, not empty.
    expect((event.data as { commits: object[] }).commits[0]).not.toHaveProperty('added');
    expect(event.dataJson).toContain(`"payload":${body}}`);
  });

  it.each([
    ['cut off', '{"ref":"refs/heads/ma', 'inbound.not_json'],
    ['text', 'hello', 'inbound.not_json'],
    ['more than one value', '{"a":1}}', 'inbound.not_json'],
    ['65 levels deep', `${'['.repeat(65)}${']'.repeat(65)}`, 'inbound.too_deep'],
    ['400,000 levels deep', '['.repeat(400_000) + ']'.repeat(400_000), 'inbound.too_deep'],
    ['not UTF-8', Buffer.from([0x22, 0xff, 0xfe, 0x22]), 'inbound.not_utf8'],
    ['half a surrogate in UTF-8', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]), 'inbound.not_utf8'],
  ])('gets 400 if its body is %s', async (_, body, code) => {
    const { url } = await server.integration('generic_webhook');
    const answer = await post(url, body, json);
    expect(answer.status).toBe(400);
    expect(await problemOf(answer)).toMatchObject({ code });
  });

  it('is accepted at 64 levels', async () => {
    const { url } = await server.integration('generic_webhook');
    await receiptOf(await post(url, '['.repeat(64) + ']'.repeat(64), json));
  });

  it.each([
    ['payload=%7B%22a', 'inbound.payload_not_json'],
    ['a=%zz', 'inbound.not_form'],
    ['{"a":1}', 'inbound.json_sent_as_form'],
  ])('gets 400 as the form %s', async (body, code) => {
    const { url } = await server.integration('generic_webhook');
    const answer = await post(url, body, { 'content-type': 'application/x-www-form-urlencoded' });
    expect([answer.status, (await problemOf(answer)).code]).toEqual([400, code]);
  });

  it.each([
    ['{"a":1}\n{"a":', 400, 'inbound.not_ndjson'],
    ['\n\n', 400, 'inbound.not_ndjson'],
    ['1\n'.repeat(1001), 413, 'inbound.too_many_lines'],
  ])('gets an answer of its own as the NDJSON %#', async (body, status, code) => {
    const { url } = await server.integration('generic_webhook');
    const answer = await post(url, body, { 'content-type': 'application/x-ndjson' });
    expect([answer.status, (await problemOf(answer)).code]).toEqual([status, code]);
  });

  it.each([
    ['application/xml', {}],
    ['text/plain', {}],
    ['multipart/form-data; boundary=x', {}],
    ['application/json; charset=utf-16', {}],
    ['not a media type', {}],
    ['', {}],
    ['application/json', { 'content-encoding': 'gzip' }],
  ])(
    'gets 415 as %j %j, naming what is read, from a provider that knows JSON and forms alone',
    async (contentType, more) => {
      const { url } = await server.integration('github');
      const body = 'content-encoding' in more ? gzipSync('{}') : '<xml/>';
      const answer = await fetch(url, {
        method: 'POST',
        body: Buffer.from(body),
        headers: { ...(contentType !== '' && { 'content-type': contentType }), ...(more as Record<string, string>) },
      });
      expect(answer.status).toBe(415);
      if (!('content-encoding' in more)) expect((await problemOf(answer)).detail).toContain('application/json');
    },
  );

  it('gets 403 from an address that is not allowed, before its signature is looked at', async () => {
    const { url } = await server.integration('github', {
      secret: SECRET,
      allowedSources: ['10.0.0.0/8', '2001:db8::/32'],
    });
    const answer = await post(url, PUSH, json);
    expect([answer.status, (await problemOf(answer)).code]).toEqual([403, 'inbound.source_address']);
  });

  it('takes nothing from the rate of an integration when it is forged; forged ones have a rate of their own', async () => {
    const rateLimit = { limit: 3, perMs: 60_000 };
    const { url } = await server.integration('generic_webhook', { secret: SECRET, rateLimit });
    const forged = { ...json, 'x-webhook-signature': signature('{}', 'a guess') };
    const statuses: number[] = [];
    for (let n = 0; n < 20; n++) statuses.push((await post(url, '{}', forged)).status);
    expect(statuses).toEqual([401, 401, 401, ...Array<number>(17).fill(429)]);
    const genuine = { ...json, 'x-webhook-signature': signature('{}', SECRET) };
    for (let n = 0; n < 3; n++) await receiptOf(await post(url, '{}', genuine));
    // Beyond the rate of the integration nothing is verified.
    expect((await post(url, '{}', genuine)).status).toBe(429);
  });

  it('has a line in the log, one a minute for each integration and code', async () => {
    const { url, id } = await server.integration('github', { secret: SECRET });
    const lines = () => server.lines.filter(({ fields }) => (fields as { integration?: string }).integration === id);
    const forged = githubHeaders('push', PUSH, 'a guess');
    for (let n = 0; n < 20; n++) await post(url, PUSH, forged);
    const line = {
      level: 'warn',
      message: 'a request was refused',
      fields: {
        integration: id,
        provider: 'github',
        code: 'inbound.signature_mismatch',
        status: 401,
        sourceIp: '127.0.0.1',
        requestId: expect.stringMatching(/./),
      },
    };
    expect(lines()).toEqual([line]);
    await post(url, PUSH, { ...forged, 'x-hub-signature-256': 'none' });
    expect(lines().map(({ fields }) => (fields as { code?: string }).code)).toEqual([
      'inbound.signature_mismatch',
      'inbound.signature_malformed',
    ]);
    await post(url, 'x'.repeat(1024 * 1024 + 1), json);
    expect(lines().at(-1)!.fields).toMatchObject({
      code: 'inbound.body_too_large',
      requestId: expect.stringMatching(/./),
    });
    server.clock.advance(60_000);
    await post(url, PUSH, forged);
    expect(lines().at(-1)!.fields).toMatchObject({ code: 'inbound.signature_mismatch', alsoSince: 19 });
    expect(JSON.stringify(server.lines)).not.toContain(forged['x-hub-signature-256']);
  });

  it('gets 429 with Retry-After beyond the rate, and is let in again when the time is over', async () => {
    const { url } = await server.integration('generic_webhook', { rateLimit: { limit: 2, perMs: 60_000 } });
    await receiptOf(await post(url, '{}', json));
    await receiptOf(await post(url, '{}', json));
    const answer = await post(url, '{}', json);
    expect(answer.status).toBe(429);
    expect(answer.headers.get('retry-after')).toBe('30');
    await problemOf(answer);
    server.clock.advance(30_000);
    await receiptOf(await post(url, '{}', json));
    expect((await post(url, '{}', json)).status).toBe(429);
  });

  it('is counted with its reason', async () => {
    const { id, url } = await server.integration('github', { secret: SECRET });
    server.counters.take();
    await post(url, PUSH, json);
    await post(url, PUSH, { ...json, 'x-hub-signature-256': signature(PUSH, 'wrong') });
    await post(url, Buffer.alloc(1024 * 1024 + 1), json);
    const headers = githubHeaders('push', PUSH, SECRET, 'counted');
    await post(url, PUSH, headers);
    await post(url, PUSH, headers);
    const counted = server.counters.take().filter(({ integrationId }) => integrationId === id);
    expect(Object.fromEntries(counted.map(({ counter, count }) => [counter, count]))).toEqual({
      'refused.signature_missing': 1,
      'refused.signature_mismatch': 1,
      'refused.too_large': 1,
      received: 1,
      duplicates: 1,
    });
  });

  it('that breaks off in the middle of its body leaves nothing, and the server goes on', async () => {
    const { url } = await server.integration('generic_webhook');
    const before = (await server.received()).length;
    const { port, pathname } = new URL(url);
    const socket = connect(Number(port), '127.0.0.1');
    await once(socket, 'connect');
    socket.write(
      `POST ${pathname} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 5000\r\n\r\n{"a":`,
      () => socket.end(),
    );
    let answer = '';
    socket.on('data', (chunk: Buffer) => (answer += chunk.toString()));
    await once(socket, 'close');
    expect(answer === '' || answer.startsWith('HTTP/1.1 400')).toBe(true);
    expect(await server.received()).toHaveLength(before);
    await receiptOf(await post(url, '{}', json));
  });
});

describe('the address of the sender', () => {
  it('is that of X-Forwarded-For behind a trusted proxy, and not otherwise', async () => {
    const behind = await new InboundServer([builtInProviders], ['127.0.0.0/8', '192.0.2.0/24']).start();
    try {
      const { url } = await behind.integration('generic_webhook', { allowedSources: ['203.0.113.7'] });
      const from = (forwarded: string) => post(url, '{}', { ...json, 'x-forwarded-for': forwarded });
      await receiptOf(await from('203.0.113.7'));
      // Whatever a sender writes stands left of what the proxies add.
      await receiptOf(await from('10.1.1.1, 203.0.113.7, 192.0.2.9'));
      expect((await from('203.0.113.7, 10.1.1.1')).status).toBe(403);
      expect((await behind.received()).at(-1)!.data).toMatchObject({ sourceIp: '203.0.113.7' });
      const { url: direct } = await server.integration('generic_webhook', { allowedSources: ['203.0.113.7'] });
      expect((await post(direct, '{}', { ...json, 'x-forwarded-for': '203.0.113.7' })).status).toBe(403);
    } finally {
      await behind.stop();
    }
  });
});

describe("a provider's own ways", () => {
  it('may answer a challenge with nothing stored', async () => {
    const { url } = await server.integration('odd');
    const before = (await server.received()).length;
    const answer = await post(url, '{"challenge":"xyz"}', json);
    expect([answer.status, answer.headers.get('content-type'), await answer.text()]).toEqual([
      200,
      'text/plain',
      'xyz',
    ]);
    expect(await server.received()).toHaveLength(before);
  });

  it('cannot make the engine believe in an event of its own', async () => {
    const { url } = await server.integration('odd');
    for (const type of [
      'webhook.failed',
      'rule.evaluated',
      'token.created',
      'workflow.requested',
      'nonsense',
      'git.push',
    ])
      await receiptOf(await post(url, JSON.stringify({ type, data: { payload: 'mine', provider: 'mine' } }), json));
    for (const event of (await server.received()).slice(-6)) {
      expect(event.type).toBe('webhook.received');
      expect(event.data).toMatchObject({ provider: 'odd' });
      expect(event.dataJson).not.toContain('"provider":"mine","');
    }
  });

  it('lose nothing through a bug: what was believed is kept, what was not can be sent again', async () => {
    const { id, url } = await server.integration('odd');
    server.counters.take();
    await receiptOf(await post(url, '{"kept":true}', { ...json, 'x-odd': 'normalise', 'x-retry': '2' }));
    expect((await server.received()).at(-1)!.dataJson).toContain('"payload":{"kept":true}');
    for (const bug of ['bigint', 'shape']) {
      await receiptOf(await post(url, '{"kept":2}', { ...json, 'x-odd': bug }));
      expect((await server.received()).at(-1)!.dataJson).toContain('"payload":{"kept":2}');
    }
    const answer = await post(url, '{}', { ...json, 'x-odd': 'throw' });
    expect([answer.status, (await problemOf(answer)).code]).toEqual([500, 'inbound.provider_failed']);
    expect(server.counters.take().find(({ counter }) => counter === 'refused.failed')).toMatchObject({
      integrationId: id,
      count: 1,
    });
  });

  it('may announce another try, which is kept and counted', async () => {
    const { id, url } = await server.integration('odd');
    server.counters.take();
    await receiptOf(await post(url, '{}', { ...json, 'x-retry': '2' }));
    expect((await server.received()).at(-1)!.metadata.request).toMatchObject({ retry: '2' });
    expect(server.counters.take()).toEqual(
      expect.arrayContaining([expect.objectContaining({ integrationId: id, counter: 'retries', count: 1 })]),
    );
  });

  it('gets 503 when its plug-in is not loaded', async () => {
    const { url } = await server.integration('unheard_of');
    const answer = await post(url, '{}', json);
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '60']);
    await problemOf(answer);
  });
});

describe('a log that cannot be reached', () => {
  it('is answered with 503 and Retry-After, and the same delivery is stored once it is back', async () => {
    class Flaky extends MemoryEventStore {
      away = false;
      override append(...given: Parameters<MemoryEventStore['append']>) {
        return this.away && streams.isInbound(given[0])
          ? Promise.reject(new Transient('log.unavailable', 'away'))
          : super.append(...given);
      }
    }
    const store = new Flaky();
    const flaky = await new InboundServer([builtInProviders], [], store).start();
    try {
      const { url } = await flaky.integration('github', { secret: SECRET });
      const headers = githubHeaders('push', PUSH, SECRET, 'again');
      store.away = true;
      const answer = await post(url, PUSH, headers);
      expect(answer.status).toBe(503);
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
      await problemOf(answer);
      expect(await flaky.received()).toHaveLength(0);
      store.away = false;
      expect(await receiptOf(await post(url, PUSH, headers))).toMatchObject({ duplicate: false });
      expect(await flaky.received()).toHaveLength(1);
    } finally {
      await flaky.stop();
    }
  });
});
