import { createHash, createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { exportJWK, SignJWT } from 'jose';

import type { JsonObject } from '#libs/kernel/src/json.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { builtInProviders } from '#libs/providers/src/built-in.js';

import { AUTHOR, InboundServer, PUBLIC_URL } from '../../testing/inbound-server.js';
import { RotateSecret, rotateSecret } from '../integration/integration.js';

const SECRET = 'a-secret-of-the-sender';
const JSON_TYPE = { 'content-type': 'application/json' };
const KEYS_URL = 'https://keys.example.com/jwks.json';

let server: InboundServer;
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
beforeAll(async () => {
  server = await new InboundServer([builtInProviders]).start();
  const jwk = { ...(await exportJWK(rsa.publicKey)), kid: 'k1', use: 'sig', alg: 'RS256' };
  server.answers.set(KEYS_URL, JSON.stringify({ keys: [jwk] }));
});
afterAll(() => server.stop());

interface Problem {
  readonly code: string;
  readonly detail: string;
}
interface Sent {
  readonly status: number;
  readonly code?: string;
  readonly detail?: string;
  readonly body: { readonly eventIds?: readonly string[] };
  readonly headers: Headers;
}
async function post(url: string, body: string | Buffer, headers: Record<string, string> = {}): Promise<Sent> {
  const answer = await fetch(url, { method: 'POST', body, headers: { ...JSON_TYPE, ...headers } });
  const text = await answer.text();
  const parsed = (text.startsWith('{') ? JSON.parse(text) : {}) as Partial<Problem> & Sent['body'];
  const { code, detail } = parsed;
  const problem = { ...(code !== undefined && { code }), ...(detail !== undefined && { detail }) };
  return { status: answer.status, body: parsed, headers: answer.headers, ...problem };
}
const declared = (config: JsonObject, secret: string | undefined = SECRET) =>
  server.integration('generic_webhook', { config, ...(secret !== '' && { secret }) });
const hmac = (content: string | Buffer, secret: string | Buffer = SECRET, algorithm = 'sha256') =>
  createHmac(algorithm, secret).update(content).digest();
const seconds = (): string => String(Math.floor(server.clock.now().getTime() / 1000));
const eventsOf = async (id: string) =>
  (await server.received())
    .filter(({ metadata }) => metadata.actor === `integration/${id}`)
    .map(({ type, data, metadata }) => ({ type, data: data, metadata }));
const BODY = '{"event":"built","id":7}';

describe('hmac', () => {
  it.each<[string, JsonObject, () => Record<string, string>]>([
    ['in hex', {}, () => ({ 'x-sig': hmac(BODY).toString('hex') })],
    ['in upper case', {}, () => ({ 'x-sig': hmac(BODY).toString('hex').toUpperCase() })],
    ['in base64', { encoding: 'base64' }, () => ({ 'x-sig': hmac(BODY).toString('base64') })],
    ['without padding', { encoding: 'base64' }, () => ({ 'x-sig': hmac(BODY).toString('base64').replace('=', '') })],
    ['in base64url', { encoding: 'base64url' }, () => ({ 'x-sig': hmac(BODY).toString('base64url') })],
    ['with a prefix', { prefix: 'v1=' }, () => ({ 'x-sig': `v1=${hmac(BODY).toString('hex')}` })],
    ['with SHA-512', { algorithm: 'sha512' }, () => ({ 'x-sig': hmac(BODY, SECRET, 'sha512').toString('hex') })],
    [
      'over a template',
      { signed: '{method} {path}?{query} {header:X-A} {{}{json:id} {body}' },
      () => ({ 'x-a': 'a', 'x-sig': '' }),
    ],
  ])('%s is believed, and nothing else is', async (_, more, headers) => {
    const { id, slug, url } = await declared({ verify: { kind: 'hmac', header: 'X-Sig', ...more } });
    const given = headers();
    if (given['x-sig'] === '')
      given['x-sig'] = hmac(`POST /api/v1/webhooks/inbound/${slug}?b=%20 a {}7 ${BODY}`).toString('hex');
    const at = given['x-a'] === undefined ? url : `${url}?b=%20`;
    expect((await post(at, BODY, given)).status).toBe(202);
    expect(await post(at, `${BODY} `, given)).toMatchObject({ status: 401, code: 'inbound.signature_mismatch' });
    expect(await post(at, BODY)).toMatchObject({ status: 401, code: 'inbound.signature_missing' });
    expect(await post(at, BODY, { 'x-sig': '§' })).toMatchObject({ status: 401, code: 'inbound.signature_malformed' });
    expect((await eventsOf(id)).map(({ data }) => data['eventType'])).toEqual(['built']);
  });

  it('may stand in the body, and over a part of it where that is said', async () => {
    const verify = { kind: 'hmac', field: 'sig', signed: '{json:a.b}|{json:n}|{json:none}', acceptWeak: true };
    const { url } = await declared({ verify });
    const n = '12345678901234567890';
    const body = (b: string) => `{"a":{"b":"${b}"},"n":${n},"sig":"${hmac(`x|${n}|`).toString('hex')}"}`;
    expect((await post(url, body('x'))).status).toBe(202);
    expect((await post(url, body('y'))).status).toBe(401);
  });

  it('signs the address as the sender knows it, whatever Host says', async () => {
    const { slug, url } = await declared({ verify: { kind: 'hmac', header: 'X-Sig', signed: '{url}{body}' } });
    const path = `/api/v1/webhooks/inbound/${slug}?a=%41&a=2`;
    const right = hmac(`${PUBLIC_URL}${path}${BODY}`).toString('hex');
    expect((await post(`${url}?a=%41&a=2`, BODY, { 'x-sig': right })).status).toBe(202);
    const evil = hmac(`https://evil.example${path}${BODY}`).toString('hex');
    const headers = { 'x-sig': evil, 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'https' };
    expect((await post(`${url}?a=%41&a=2`, BODY, headers)).status).toBe(401);
  });

  const list = { separator: ',', assign: '=', signature: 'v1', timestamp: 't' };
  const timed = { kind: 'hmac', header: 'X-Sig', list, signed: '{timestamp}.{body}' };
  const right = (time = seconds()): string => hmac(`${time}.${BODY}`).toString('hex');

  it('takes any of a list of sixteen, with blanks and other names', async () => {
    const { url } = await declared({ verify: timed });
    const header = (before: number): string =>
      [
        `t=${seconds()}`,
        'v0=00',
        ...Array.from({ length: before }, () => `v1=${'0'.repeat(64)}`),
        `v1=${right()}`,
      ].join(' , ');
    expect((await post(url, BODY, { 'x-sig': header(15) })).status).toBe(202);
    expect((await post(url, BODY, { 'x-sig': header(16) })).status).toBe(401);
    expect((await post(url, BODY, { 'x-sig': 'v1' })).status).toBe(401);
  });

  it('looks at the time after the signature', async () => {
    const { url } = await declared({ verify: timed });
    const old = String(Number(seconds()) - 301);
    expect(await post(url, BODY, { 'x-sig': `t=${old},v1=${right(old)}` })).toMatchObject({
      status: 401,
      code: 'inbound.stale',
    });
    expect(await post(url, BODY, { 'x-sig': `t=${old},v1=${right()}` })).toMatchObject({
      code: 'inbound.signature_mismatch',
    });
  });

  it.each<[string, string, () => string]>([
    ['s', '30s', seconds],
    ['ms', '1h', () => String(server.clock.now().getTime())],
    ['iso', '5m', () => server.clock.now().toISOString()],
  ])('takes a time in %s', async (unit, tolerance, time) => {
    const timestamp = { header: 'X-Time', unit, tolerance };
    const verify = {
      kind: 'hmac',
      header: 'X-Sig',
      signed: '{id}.{timestamp}.{body}',
      timestamp,
      id: { header: 'X-Id' },
    };
    const { url } = await declared({ verify });
    const headers = { 'x-time': time(), 'x-id': 'm1', 'x-sig': hmac(`m1.${time()}.${BODY}`).toString('hex') };
    expect((await post(url, BODY, headers)).status).toBe(202);
    for (const name of ['x-time', 'x-id'] as const)
      expect((await post(url, BODY, { ...headers, [name]: 'x' })).status).toBe(401);
  });

  it('believes the secrets of a rotation until they run out', async () => {
    const { id, url } = await declared({ verify: { kind: 'hmac', header: 'X-Sig' } });
    await server.secrets.put(AUTHOR.orgId, `${id}/secret/2`, 'the-next-one');
    await server.run(new RotateSecret(id, AUTHOR, `${id}/secret/2`, 60), rotateSecret);
    const send = async (secret: string) =>
      (await post(url, BODY, { 'x-sig': hmac(BODY, secret).toString('hex') })).status;
    expect([await send(SECRET), await send('the-next-one')]).toEqual([202, 202]);
    server.clock.advance(60_001);
    expect([await send(SECRET), await send('the-next-one')]).toEqual([401, 202]);
  });
});

describe('keys of the sender', () => {
  const pairs = {
    ed25519: generateKeyPairSync('ed25519'),
    ecdsa: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  };
  const written: Record<string, (key: KeyObject) => string> = {
    PEM: (key) => key.export({ format: 'pem', type: 'spki' }) as string,
    'base64 of SPKI': (key) => key.export({ format: 'der', type: 'spki' }).toString('base64'),
    'hex of 32 bytes': (key) => key.export({ format: 'der', type: 'spki' }).subarray(-32).toString('hex'),
    'base64 of 32 bytes': (key) => key.export({ format: 'der', type: 'spki' }).subarray(-32).toString('base64'),
  };
  it.each([
    ['ed25519', 'PEM'],
    ['ed25519', 'base64 of SPKI'],
    ['ed25519', 'hex of 32 bytes'],
    ['ed25519', 'base64 of 32 bytes'],
    ['ecdsa', 'PEM'],
    ['ecdsa', 'base64 of SPKI'],
  ] as const)('%s in %s prove a request', async (kind, form) => {
    const { privateKey, publicKey } = pairs[kind];
    const verify = { kind, header: 'X-Sig', encoding: 'base64', publicKey: written[form]!(publicKey) };
    const { url } = await declared({ verify }, '');
    const proof = sign(kind === 'ecdsa' ? 'sha256' : null, Buffer.from(BODY), privateKey).toString('base64');
    expect((await post(url, BODY, { 'x-sig': proof })).status).toBe(202);
    expect((await post(url, `${BODY} `, { 'x-sig': proof })).status).toBe(401);
  });
});

describe('a secret that is sent', () => {
  const basic = (text: string) => ({ authorization: `Basic ${Buffer.from(text).toString('base64')}` });

  it('as a password is asked for as browsers know it', async () => {
    const { url } = await declared({ verify: { kind: 'basic', username: 'acme' } });
    expect((await post(url, BODY, basic(`acme:${SECRET}`))).status).toBe(202);
    for (const headers of [{}, basic(`other:${SECRET}`), basic('acme:wrong'), basic('acme:')]) {
      const answer = await post(url, BODY, headers);
      expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([
        401,
        'Basic realm="webhooks", charset="UTF-8"',
      ]);
    }
  });

  it('in a header is kept out of events, also where that header is kept otherwise', async () => {
    const { id, url } = await declared({ verify: { kind: 'header', header: 'X-Request-Id', prefix: 'Bearer ' } });
    expect((await post(url, BODY, { 'x-request-id': `Bearer ${SECRET}` })).status).toBe(202);
    expect((await post(url, BODY, { 'x-request-id': SECRET })).status).toBe(401);
    expect(JSON.stringify(await eventsOf(id), bigints)).not.toContain(SECRET);
  });

  it('in the URL counts once, and appears nowhere', async () => {
    const { id, url } = await declared({ verify: { kind: 'query', parameter: 'token' } });
    expect((await post(`${url}?token=${SECRET}`, BODY)).status).toBe(202);
    for (const query of ['', '?token=', '?token=wrong', `?token=${SECRET}&token=${SECRET}`, `?Token=${SECRET}`])
      expect((await post(url + query, BODY)).status).toBe(401);
    expect(JSON.stringify([await eventsOf(id), server.lines], bigints)).not.toContain(SECRET);
  });

  it('in the body is masked, and the hash is of what is stored', async () => {
    const { id, url } = await declared({ verify: { kind: 'field', field: 'auth.token' } });
    const body = (token: string) => `{"auth":{"token":"${token}"},"n":12345678901234567890,"type":"a"}`;
    expect((await post(url, body(SECRET))).status).toBe(202);
    expect((await post(url, body('wrong'))).status).toBe(401);
    expect((await post(url, '{}')).status).toBe(401);
    const [event] = await eventsOf(id);
    const stored = body('********');
    expect(JSON.stringify(event, bigints)).not.toContain(SECRET);
    expect(event!.metadata.request?.bodySha256).toBe(createHash('sha256').update(stored).digest('hex'));
    expect(stringifyJson(event!.data['payload'])).toContain('12345678901234567890');
  });

  it('in a list of the body must be right everywhere', async () => {
    const { id, url } = await declared({ verify: { kind: 'field', field: 'all[].token' } });
    const body = (...tokens: string[]) => JSON.stringify({ all: tokens.map((token) => ({ token })) });
    expect((await post(url, body(SECRET, SECRET))).status).toBe(202);
    expect((await post(url, body(SECRET, 'wrong'))).status).toBe(401);
    expect((await post(url, body())).status).toBe(401);
    expect(JSON.stringify(await eventsOf(id), bigints)).not.toContain(SECRET);
  });
});

it('"none" takes whatever comes, and says so', async () => {
  const { id, url } = await declared({ verify: { kind: 'none' } }, '');
  expect((await post(url, BODY)).status).toBe(202);
  expect((await eventsOf(id))[0]!.metadata.request).toMatchObject({ authentication: 'slug' });
});

interface Signing {
  readonly alg: string;
  readonly key: string | KeyObject;
  readonly kid: string;
}

describe('a JWT', () => {
  const now = (): number => Math.floor(server.clock.now().getTime() / 1000);
  const token = (claims: JsonObject, { alg = 'HS256', key = SECRET, kid = 'k1' }: Partial<Signing> = {}) =>
    new SignJWT(claims).setProtectedHeader({ alg, kid }).sign(typeof key === 'string' ? Buffer.from(key) : key);
  const hashed = createHash('sha256').update(BODY).digest('hex');

  it('with a shared secret proves its claims, its time and its body', async () => {
    const verify = {
      kind: 'jwt',
      algorithm: 'HS256',
      issuer: ['acme', 'acme.example'],
      audience: 'us',
      claims: { scope: 'hooks' },
      bodyHash: { claim: 'sha256' },
    };
    const { url } = await declared({ verify });
    const good: JsonObject = { iss: 'acme.example', aud: ['us', 'them'], scope: 'hooks', sha256: hashed };
    const send = async (claims: JsonObject, given = {}) => {
      const { status, code } = await post(url, BODY, { authorization: `Bearer ${await token(claims, given)}` });
      return code ?? status;
    };
    expect(await send(good)).toBe(202);
    expect(await send({ ...good, exp: now() - 200, nbf: now() + 200, iat: now() + 200 })).toBe(202);
    for (const late of [{ exp: now() - 301 }, { nbf: now() + 301 }, { iat: now() + 301 }])
      expect(await send({ ...good, ...late })).toBe('inbound.stale');
    const others = [{ iss: 'evil' }, { aud: 'them' }, { scope: 'all' }, { sha256: hashed.replace(/^./, 'x') }];
    for (const other of others) expect(await send({ ...good, ...other })).toBe('inbound.signature_mismatch');
    expect(await send(good, { key: 'another-secret' })).toBe('inbound.signature_mismatch');
    expect(await send(good, { alg: 'HS512' })).toBe('inbound.signature_mismatch');
  });

  it('without a time counts by its age where that is asked for', async () => {
    const { url } = await declared({ verify: { kind: 'jwt', header: 'X-Jwt', algorithm: 'HS256', maxAge: '1m' } });
    const send = async (claims: JsonObject) => (await post(url, BODY, { 'x-jwt': await token(claims) })).code;
    expect(await send({ iat: now() - 59 })).toBeUndefined();
    expect(await send({ iat: now() - 61 })).toBe('inbound.stale');
    expect(await send({})).toBe('inbound.stale');
    expect(await send({ exp: now() + 10 })).toBeUndefined();
  });

  it('with keys of the sender is proved by its JWK set, and never by the algorithm of the token', async () => {
    const verify = { kind: 'jwt', algorithm: 'RS256', keysUrl: KEYS_URL, issuer: 'acme' };
    const { url } = await declared({ verify }, '');
    const send = async (jwt: string) => (await post(url, BODY, { authorization: `Bearer ${jwt}` })).status;
    expect(await send(await token({ iss: 'acme' }, { alg: 'RS256', key: rsa.privateKey }))).toBe(202);
    expect(await send(await token({ iss: 'evil' }, { alg: 'RS256', key: rsa.privateKey }))).toBe(401);
    const pem = rsa.publicKey.export({ format: 'pem', type: 'spki' }) as string;
    expect(await send(await token({ iss: 'acme' }, { key: pem }))).toBe(401);
    const none = [{ alg: 'none', kid: 'k1' }, { iss: 'acme' }].map((part) =>
      Buffer.from(JSON.stringify(part)).toString('base64url'),
    );
    expect(await send(`${none.join('.')}.`)).toBe(401);
    // The key may be new: the sender is asked to come again.
    expect(await send(await token({ iss: 'acme' }, { alg: 'RS256', key: rsa.privateKey, kid: 'k2' }))).toBe(503);
  });
});

describe('what is read', () => {
  const verify = { kind: 'none' };

  it('comes from the first source that gives something', async () => {
    const read = {
      eventType: ['header:X-Kind', "join('.', [a, b])", "'fallback'"],
      deliveryId: ['query:id', 'hash:body'],
      occurredAt: ['at'],
    };
    const { id, url } = await declared({ verify, read }, '');
    const first = await post(`${url}?id=d1`, '{"at":1795180000}', { 'x-kind': 'Größe' });
    expect(await post(`${url}?id=d1`, '{"at":1}')).toMatchObject({ body: { eventIds: first.body.eventIds } });
    await post(url, '{"a":"x","b":"y","at":"2026-11-20T13:06:40.000+00:00"}');
    await post(url, '{"a":"x","b":1,"at":true}');
    const events = await eventsOf(id);
    expect(events.map(({ data }) => data['eventType'])).toEqual(['Größe', 'x.y', 'fallback']);
    expect(events.slice(0, 2).map(({ metadata }) => metadata.timestamp)).toEqual([
      '2026-11-20T13:06:40.000Z',
      '2026-11-20T13:06:40.000Z',
    ]);
    expect(events.map(({ data }) => data['deliveryId'])).toEqual([
      'd1',
      expect.stringMatching(/^[0-9a-f]{64}$/),
      expect.stringMatching(/^[0-9a-f]{64}$/),
    ]);
  });

  it('of one that names nothing is as it would be without a declaration', async () => {
    const { id, url } = await declared({ verify }, '');
    await post(url, '{"event":"a"}', { 'x-event-type': 'b' });
    await post(url, '{"event":"a"}');
    await post(url, '{}');
    const key = { 'idempotency-key': 'k' };
    expect(await post(url, '{}', key)).toMatchObject({ body: { duplicate: false } });
    expect(await post(url, '{}', key)).toMatchObject({ body: { duplicate: true } });
    expect((await eventsOf(id)).map(({ data }) => data['eventType'])).toEqual(['b', 'a', 'webhook', 'webhook']);
  });

  it('is an event for each element, and none for an empty list', async () => {
    const read = { eventType: 'kind', deliveryId: 'hash:body', each: 'list' };
    const { id, url } = await declared({ verify, read }, '');
    const body = '{"list":[{"kind":"a","n":12345678901234567890},{"kind":"b"}]}';
    expect((await post(url, body)).body.eventIds).toHaveLength(2);
    expect(await post(url, body)).toMatchObject({ status: 202, body: { duplicate: true } });
    expect(await post(url, '{"list":[]}')).toMatchObject({ status: 202, body: { eventIds: [] } });
    // What has no list must not vanish.
    expect((await post(url, '{"kind":"c"}')).body.eventIds).toHaveLength(1);
    expect((await eventsOf(id)).map(({ data }) => [data['eventType'], Object.keys(data['payload'] as object)])).toEqual(
      [
        ['a', ['kind', 'n']],
        ['b', ['kind']],
        ['c', ['kind']],
      ],
    );
  });

  it('is proved element by element where the proof stands in each', async () => {
    const field = { kind: 'field', field: 'state' };
    const { url } = await declared({ verify: field, read: { each: 'value' } });
    const body = (...states: string[]) => JSON.stringify({ value: states.map((state) => ({ state })) });
    expect((await post(url, body(SECRET, SECRET))).status).toBe(202);
    for (const states of [
      [SECRET, 'x'],
      [SECRET, ''],
    ])
      expect((await post(url, body(...states))).status).toBe(401);
    expect((await post(url, '{"other":1}')).status).toBe(401);
  });

  it('is JSON with any +json type, and with any type where the preset says so', async () => {
    const { id, url } = await declared({ verify }, '');
    await post(url, '{"event":"a"}', { 'content-type': 'application/vnd.acme.v2+json; charset=utf-8' });
    await post(url, '{"event":"a"}', { 'content-type': 'text/plain' });
    const types = (await eventsOf(id)).map(({ data }) => data['eventType']);
    expect(types).toEqual(['a', 'webhook']);
  });
});

describe('the answer', () => {
  it.each<[JsonObject | undefined, number, string | RegExp, string | null]>([
    [undefined, 202, /eventIds/, 'application/json; charset=utf-8'],
    [{ status: 200 }, 200, /eventIds/, 'application/json; charset=utf-8'],
    [{ status: 204 }, 204, '', null],
    [{ status: 200, contentType: 'text/xml', body: '<ok/>' }, 200, '<ok/>', 'text/xml'],
  ])('%j is %d', async (answer, status, text, type) => {
    const { url } = await declared({ verify: { kind: 'none' }, ...(answer && { answer }) }, '');
    const given = await fetch(url, { method: 'POST', body: BODY, headers: JSON_TYPE });
    const body = await given.text();
    expect([given.status, given.headers.get('content-type')]).toEqual([status, type]);
    if (typeof text === 'string') expect(body).toBe(text);
    else expect(body).toMatch(text);
  });
});

const bigints = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? String(value) : value);
