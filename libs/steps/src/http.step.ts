import { Type } from '@sinclair/typebox';

import { retryAfterSeconds } from '#libs/plugin-sdk/index.js';
import { defineStep, StepError, type StepHttpOutcome } from '#libs/plugin-sdk/src/define-step.js';

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const;
/** Most bytes of an answer: a step's output must not be larger. */
const KEEP_BYTES = 128 * 1024;

/**
 * One HTTP request. The output is `{ status, headers, body }`, with `body` parsed where the answer is JSON (else text;
 * null where there is none). An answer outside 2xx fails the step, as `curl --fail` does, but keeps its output: with
 * `onError: continue` the next step can look at `steps.<id>.output.status`. `expect` lists the statuses that count as
 * success in place of 2xx. Retryable: no answer at all, 408, 425, 429 and 5xx; `Retry-After` is honoured.
 */
export const http = defineStep({
  name: 'http',
  description: 'Sends an HTTP request and waits for the answer.',
  inputSchema: Type.Object(
    {
      url: Type.String({ minLength: 1, maxLength: 8192 }),
      method: Type.Optional(Type.Union(METHODS.map((method) => Type.Literal(method)))),
      headers: Type.Optional(
        Type.Record(Type.String(), Type.Union([Type.String(), Type.Number(), Type.Boolean()]), {
          description: 'Names are not case-sensitive.',
        }),
      ),
      query: Type.Optional(
        Type.Record(Type.String(), Type.Union([Type.String(), Type.Number(), Type.Boolean()]), {
          description: 'Added to the URL, encoded.',
        }),
      ),
      body: Type.Optional(Type.Unknown({ description: 'Text is sent as it is, anything else as JSON.' })),
      expect: Type.Optional(
        Type.Array(Type.Integer({ minimum: 100, maximum: 599 }), { description: 'Statuses that count as success.' }),
      ),
    },
    { additionalProperties: false },
  ),
  effects: true,
  async run({ url, method = 'GET', headers = {}, query = {}, body, expect }, context) {
    const target = withQuery(url, query);
    const outcome = await context.http.request({
      method,
      url: target,
      headers: requestHeaders(method, headers, body, context.idempotencyKey),
      ...(body === undefined || body === null ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      timeoutMs: context.timeoutMs,
      keepBytes: KEEP_BYTES,
      signal: context.signal,
    });
    return answerOf(method, outcome, expect);
  },
});

function answerOf(method: string, outcome: StepHttpOutcome, expect: readonly number[] | undefined) {
  if (outcome.kind === 'failed')
    throw new StepError({
      code: `http.${outcome.failureClass}`,
      message: `The request failed (${outcome.failureClass}): ${outcome.detail}`,
      retryable: !['refused_address', 'redirect', 'body_too_large'].includes(outcome.failureClass),
      output:
        outcome.status === undefined ? null : { status: outcome.status, headers: outcome.headers ?? {}, body: null },
    });
  if (outcome.truncated)
    throw new StepError({
      code: 'http.body_too_large',
      message: `The answer is longer than ${KEEP_BYTES / 1024} KiB. Request less, for instance page by page.`,
      retryable: false,
      output: { status: outcome.status, headers: outcome.headers, body: null },
    });
  const output = { status: outcome.status, headers: outcome.headers, body: bodyOf(outcome.headers, outcome.body) };
  const good = expect ? expect.includes(outcome.status) : outcome.status >= 200 && outcome.status < 300;
  if (good) return output;
  const retryAfter = retryAfterSeconds(outcome.headers['retry-after'], new Date());
  throw new StepError({
    code: 'http.status',
    message: `The receiver answered the ${method} request with ${outcome.status}.`,
    retryable: outcome.status >= 500 || [408, 425, 429].includes(outcome.status),
    ...(retryAfter === undefined ? {} : { retryAfter }),
    output,
  });
}

function withQuery(url: string, query: Readonly<Record<string, string | number | boolean>>): string {
  if (Object.keys(query).length === 0) return url;
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    throw new StepError({ code: 'http.bad_url', message: `The URL must be absolute. Got "${url}".`, retryable: false });
  }
  for (const [name, value] of Object.entries(query)) parsed.searchParams.append(name, String(value));
  return parsed.href;
}

function requestHeaders(
  method: string,
  given: Readonly<Record<string, string | number | boolean>>,
  body: unknown,
  idempotencyKey: string,
): Record<string, string> {
  const headers: Record<string, string> = { accept: 'application/json, */*;q=0.5' };
  if (body !== undefined && body !== null)
    headers['content-type'] = typeof body === 'string' ? 'text/plain; charset=utf-8' : 'application/json';
  // A receiver that honours it acts once, also when an attempt timed out and nobody knows whether it arrived.
  if (method !== 'GET' && method !== 'HEAD' && method !== 'OPTIONS') headers['idempotency-key'] = idempotencyKey;
  for (const [name, value] of Object.entries(given)) headers[name.toLowerCase()] = String(value);
  return headers;
}

function bodyOf(headers: Readonly<Record<string, string>>, body: Buffer): unknown {
  if (body.length === 0) return null;
  const text = body.toString('utf8');
  const type = headers['content-type']?.split(';')[0]?.trim().toLowerCase() ?? '';
  if (type !== 'application/json' && !type.endsWith('+json')) return text;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
