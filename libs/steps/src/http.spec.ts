import { gzipSync } from 'node:zlib';

import { describe, expect, it } from '@jest/globals';

import { parseJson, stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { type StepContext, StepError, type StepHttpOutcome } from '#libs/plugin-sdk/src/define-step.js';

import { http } from './http.step.js';

type Request = Parameters<StepContext['http']['request']>[0];
type Input = Parameters<typeof http.run>[0];

const answer = (more: Partial<Extract<StepHttpOutcome, { kind: 'response' }>>): StepHttpOutcome => ({
  kind: 'response',
  status: 200,
  headers: {},
  body: Buffer.alloc(0),
  truncated: false,
  latencyMs: 1,
  ...more,
});

const json = (status: number, body: string, headers: Record<string, string> = {}): StepHttpOutcome => ({
  kind: 'response',
  status,
  headers: { 'content-type': 'application/json; charset=utf-8', ...headers },
  body: Buffer.from(body),
  truncated: false,
  latencyMs: 1,
});

interface Sent {
  readonly request: Request;
  readonly output?: unknown;
  readonly error?: StepError;
}

async function sent(input: Input, outcome: StepHttpOutcome = json(200, '{"ok":true}')): Promise<Sent> {
  let request: Request | undefined;
  const context: StepContext = {
    idempotencyKey: 'key-1',
    attempt: 1,
    timeoutMs: 1234,
    signal: new AbortController().signal,
    http: {
      request: (given) => {
        request = given;
        return Promise.resolve(outcome);
      },
    },
    log: () => undefined,
  };
  try {
    const output = await http.run(input, context);
    return { output, request: request! };
  } catch (error) {
    return { error: error as StepError, request: request! };
  }
}

const failed = (failureClass: string, status?: number): StepHttpOutcome => ({
  kind: 'failed',
  failureClass,
  detail: 'words',
  latencyMs: 1,
  ...(status === undefined ? {} : { status, headers: { location: 'elsewhere' } }),
});

describe('the http step', () => {
  it('gets by default, and gives back status, headers and the parsed body', async () => {
    const { request, output } = await sent({ url: 'https://example.com/a' });
    expect(request).toMatchObject({ method: 'GET', url: 'https://example.com/a', timeoutMs: 1234 });
    expect(request.body).toBeUndefined();
    expect(output).toMatchObject({ status: 200, body: { ok: true } });
  });

  it('passes on JSON as text where it is deeper than can be recorded', async () => {
    const nested = (levels: number) => '['.repeat(levels) + ']'.repeat(levels);
    const body = async (text: string) =>
      ((await sent({ url: 'https://example.com' }, json(200, text))).output as { body: unknown }).body;
    expect(await body(nested(64))).toEqual(JSON.parse(nested(64)));
    expect(await body(`{"a":${nested(64)}}`)).toBe(`{"a":${nested(64)}}`);
    expect(await body(nested(60_000))).toBe(nested(60_000));
  });

  it('sends an object as JSON, with the key that tells repeats', async () => {
    const { request } = await sent({ url: 'https://example.com', method: 'POST', body: { n: [1] } });
    expect(request.body).toBe('{"n":[1]}');
    expect(request.headers).toMatchObject({ 'content-type': 'application/json', 'idempotency-key': 'key-1' });
  });

  it('sends text as it is, and lets the workflow name headers, in whatever case', async () => {
    const headers = { 'Content-Type': 'text/csv', 'IDEMPOTENCY-KEY': 'mine', 'X-N': 7 };
    const { request } = await sent({ url: 'https://example.com', method: 'PUT', body: 'a,b', headers });
    expect(request.body).toBe('a,b');
    expect(request.headers).toMatchObject({ 'content-type': 'text/csv', 'idempotency-key': 'mine', 'x-n': '7' });
  });

  it('sends user name and password as Basic authentication', async () => {
    const { request } = await sent({ url: 'https://example.com', auth: { username: 'ann', password: 'påss:word' } });
    const { authorization = '' } = request.headers;
    expect(Buffer.from(authorization.replace('Basic ', ''), 'base64').toString()).toBe('ann:påss:word');
  });

  it('asks for no idempotency where nothing is changed', async () => {
    for (const method of ['GET', 'HEAD', 'OPTIONS'] as const)
      expect((await sent({ url: 'https://example.com', method })).request.headers).not.toHaveProperty(
        'idempotency-key',
      );
  });

  it('adds query parameters, encoded', async () => {
    const { request } = await sent({ url: 'https://example.com/?a=1', query: { q: 'x & y', n: 2, b: true } });
    expect(new URL(request.url).search).toBe('?a=1&q=x+%26+y&n=2&b=true');
  });

  it('says so where the URL is none', async () => {
    expect((await sent({ url: 'nowhere', query: { a: 1 } })).error).toMatchObject({
      code: 'http.bad_url',
      retryable: false,
    });
  });

  it.each([
    [json(200, '{broken'), '{broken'],
    [json(204, ''), null],
    [json(200, 'hello', { 'content-type': 'text/plain' }), 'hello'],
    [json(200, '{"a":1}', { 'content-type': 'application/problem+json' }), { a: 1 }],
  ])('reads a body as what it is', async (outcome, body) => {
    expect((await sent({ url: 'https://example.com' }, outcome)).output).toMatchObject({ body });
  });

  it.each([
    [400, false],
    [404, false],
    [408, true],
    [410, false],
    [425, true],
    [429, true],
    [500, true],
    [503, true],
    [301, false],
  ])('fails at a status of %i, with the answer as its output; retryable: %s', async (status, retryable) => {
    const { error } = await sent({ url: 'https://example.com' }, json(status, '{"why":1}'));
    expect(error).toBeInstanceOf(StepError);
    expect(error).toMatchObject({ code: 'http.status', retryable, output: { status, body: { why: 1 } } });
  });

  it('is content with the statuses that are expected, and with no others', async () => {
    const expecting = (status: number) => sent({ url: 'https://example.com', expect: [200, 404] }, json(status, '{}'));
    expect((await expecting(404)).output).toMatchObject({ status: 404 });
    expect((await expecting(201)).error).toMatchObject({ code: 'http.status' });
  });

  it.each([
    ['30', 30],
    [new Date(Date.now() + 60_000).toUTCString(), expect.any(Number)],
    ['45.9', 46],
    ['-5', undefined],
    ['soon', undefined],
    ['999999999', 86_400],
  ])('passes on how long the other side asks to wait: %s', async (header, seconds) => {
    const outcome = json(503, '{}', { 'retry-after': header });
    expect((await sent({ url: 'https://example.com' }, outcome)).error!.retryAfter).toEqual(seconds);
  });

  it.each([
    ['timeout', true],
    ['dns', true],
    ['connect', true],
    ['tls', true],
    ['refused_address', false],
    ['redirect', false],
    ['body_too_large', false],
  ])('fails with the class of what went wrong: %s; retryable: %s', async (failureClass, retryable) => {
    const { error } = await sent({ url: 'https://example.com' }, failed(failureClass));
    expect(error).toMatchObject({ code: `http.${failureClass}`, retryable, message: expect.stringContaining('words') });
  });

  it('shows the status of a redirect that was not followed', async () => {
    const { error } = await sent({ url: 'https://example.com' }, failed('redirect', 302));
    expect(error!.output).toMatchObject({ status: 302, headers: { location: 'elsewhere' } });
  });

  it.each([200, 201, 503, 429])(
    'shows the beginning of a long answer only where its status is a failure: %i',
    async (status) => {
      const long = answer({
        status,
        headers: { 'content-type': 'application/json' },
        body: Buffer.from('{"a":'),
        truncated: true,
      });
      const { error } = await sent({ url: 'https://example.com' }, long);
      if (status < 300)
        expect(error).toMatchObject({ code: 'http.body_too_large', retryable: false, output: { status, body: null } });
      else expect(error).toMatchObject({ code: 'http.status', retryable: true, output: { status, body: '{"a":' } });
    },
  );

  it('takes a status that is expected for a success, which must be whole', async () => {
    const long = answer({ status: 404, truncated: true, body: Buffer.from('x') });
    const { error } = await sent({ url: 'https://example.com', expect: [404] }, long);
    expect(error).toMatchObject({ code: 'http.body_too_large' });
  });

  it('unpacks what was packed although nobody asked for it, within bounds', async () => {
    const packed = (text: string) =>
      answer({ headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' }, body: gzipSync(text) });
    expect((await sent({ url: 'https://example.com' }, packed('{"a":1}'))).output).toMatchObject({ body: { a: 1 } });
    const bomb = await sent({ url: 'https://example.com' }, packed(' '.repeat(10 * 1024 * 1024)));
    expect(bomb.error).toMatchObject({ code: 'http.body_too_large' });
  });

  it.each<[string, Buffer, unknown]>([
    ['application/json', Buffer.from('\ufeff{"a":1}'), { a: 1 }],
    ['text/plain; charset=iso-8859-1', Buffer.from('café', 'latin1'), 'café'],
    ['image/png', Buffer.from([0x89, 0x50, 0xff]), { base64: 'iVD/', contentType: 'image/png' }],
  ])('decodes %s', async (type, body, expected) => {
    const { output } = await sent({ url: 'https://example.com' }, answer({ headers: { 'content-type': type }, body }));
    expect(output).toMatchObject({ body: expected });
  });

  it('gives back cookies as a list', async () => {
    const setCookie = ['a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT', 'b=2'];
    const { output } = await sent({ url: 'https://example.com' }, answer({ setCookie, headers: { vary: 'a, b' } }));
    expect(output).toMatchObject({ headers: { 'set-cookie': setCookie, vary: 'a, b' } });
  });

  it('keeps the digits of numbers, in and out', async () => {
    const text = '{"id":7615917337495251231,"price":1.10,"tiny":1e-400}';
    const { output, request } = await sent(
      {
        url: 'https://example.com',
        method: 'POST',
        body: parseJson(text),
        query: { id: parseJson('7615917337495251231') as number },
      },
      answer({ headers: { 'content-type': 'application/json' }, body: Buffer.from(text) }),
    );
    expect(request.body).toContain('"id":7615917337495251231');
    expect(request.body).toContain('"tiny":1e-400');
    expect(request.url).toBe('https://example.com/?id=7615917337495251231');
    expect(stringifyJson((output as { body: unknown }).body)).toContain('"id":7615917337495251231');
  });
});

describe('the URL of a request', () => {
  it.each([
    ['https://example.com/x', true],
    ['HTTP://example.com', true],
    ['ftp://example.com/x', false],
    ['file:///etc/passwd', false],
    ['example.com/x', false],
  ])('%s is accepted: %s', (url, isAccepted) => {
    const { pattern } = http.inputSchema.properties.url;
    expect(new RegExp(pattern!).test(url)).toBe(isAccepted);
  });
});
