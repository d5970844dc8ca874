import { describe, expect, it } from '@jest/globals';

import type { StepContext, StepHttpOutcome } from '#libs/plugin-sdk/src/define-step.js';
import { StepError } from '#libs/plugin-sdk/src/define-step.js';

import { http } from './http.step.js';

type Request = Parameters<StepContext['http']['request']>[0];
type Input = Parameters<typeof http.run>[0];

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

  it('does not pass off half an answer as the whole', async () => {
    const outcome: StepHttpOutcome = {
      ...(json(200, 'x') as Extract<StepHttpOutcome, { kind: 'response' }>),
      truncated: true,
    };
    expect((await sent({ url: 'https://example.com' }, outcome)).error).toMatchObject({ code: 'http.body_too_large' });
  });
});
