import { Type } from '@sinclair/typebox';

import {
  parseAsWritten,
  readHttpBody,
  type ReadBody,
  retryAfterSeconds,
  stringifyJson,
} from '#libs/plugin-sdk/index.js';
import { defineStep, StepError, type StepHttpOutcome } from '#libs/plugin-sdk/src/define-step.js';

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const;
/** Most bytes of an answer, also unpacked: a step's output must not be larger. */
const KEEP_BYTES = 128 * 1024;
/** Of lists and objects in JSON, as everywhere. */
const MAX_DEPTH = 64;

/**
 * One HTTP request. The output is `{ status, headers, body }`, with `body` read as the headers of the answer say: JSON of at most
 * 64 levels is parsed, other text is decoded, anything else is `{ base64, contentType }`, and no body is null. An answer outside 2xx
 * fails the step, as `curl --fail` does, but keeps its output: with `onError: continue` the next step can look at
 * `steps.<id>.output.status`. `expect` lists the statuses that count as success instead of 2xx. Retryable: no answer at
 * all, 408, 425, 429 and 5xx; `Retry-After` is honoured.
 */
export const http = defineStep({
  name: 'http',
  description: 'Sends an HTTP request and returns the answer.',
  inputSchema: Type.Object(
    {
      url: Type.String({
        minLength: 1,
        maxLength: 8192,
        pattern: '^[Hh][Tt][Tt][Pp][Ss]?://',
        expected: 'an http or https URL, such as https://example.com/path',
      }),
      method: Type.Optional(Type.Union(METHODS.map((method) => Type.Literal(method)))),
      headers: Type.Optional(
        Type.Record(Type.String(), Type.Union([Type.String(), Type.Number(), Type.Boolean()]), {
          description: 'Names are not case-sensitive.',
        }),
      ),
      auth: Type.Optional(
        Type.Object(
          { username: Type.String(), password: Type.String() },
          { additionalProperties: false, description: 'Sent as HTTP Basic authentication.' },
        ),
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
  outputSchema: Type.Object({
    status: Type.Integer(),
    headers: Type.Record(Type.String(), Type.Union([Type.String(), Type.Array(Type.String())])),
    body: Type.Unknown(),
  }),
  effects: true,
  keepsDigits: true,
  async run({ url, method = 'GET', headers = {}, auth, query = {}, body, expect }, context) {
    const target = withQuery(url, query);
    const outcome = await context.http.request({
      method,
      url: target,
      headers: requestHeaders(method, { ...(auth && basic(auth)), ...headers }, body, context.idempotencyKey),
      ...(body === undefined || body === null ? {} : { body: typeof body === 'string' ? body : stringifyJson(body) }),
      timeoutMs: context.timeoutMs,
      keepBytes: KEEP_BYTES,
      signal: context.signal,
    });
    return answerOf(method, outcome, expect);
  },
});

async function answerOf(method: string, outcome: StepHttpOutcome, expect: readonly number[] | undefined) {
  if (outcome.kind === 'failed')
    throw new StepError({
      code: `http.${outcome.failureClass}`,
      message: `The request failed (${outcome.failureClass}): ${outcome.detail}`,
      retryable: !['refused_address', 'redirect', 'body_too_large'].includes(outcome.failureClass),
      output:
        outcome.status === undefined ? null : { status: outcome.status, headers: outcome.headers ?? {}, body: null },
    });
  const { status, setCookie } = outcome;
  const headers = { ...outcome.headers, ...(setCookie && { 'set-cookie': setCookie }) };
  const read = await readHttpBody(outcome, KEEP_BYTES);
  const isGood = expect ? expect.some((wanted) => Number(wanted) === status) : status >= 200 && status < 300;
  if (isGood && read.isCut)
    throw new StepError({
      code: 'http.body_too_large',
      message: `The answer is longer than ${KEEP_BYTES / 1024} KiB, or its Content-Encoding is damaged. Request less, for instance page by page.`,
      retryable: false,
      output: { status, headers, body: null },
    });
  const output = { status, headers, body: bodyOf(read) };
  if (isGood) return output;
  const retryAfter = retryAfterSeconds(outcome.headers['retry-after'], new Date());
  throw new StepError({
    code: 'http.status',
    ...((status === 401 || status === 403) && { type: 'authentication' }),
    message: `The receiver answered the ${method} request with ${status}.`,
    retryable: status >= 500 || [408, 425, 429].includes(status),
    ...(retryAfter === undefined ? {} : { retryAfter }),
    output,
  });
}

const basic = ({ username, password }: { readonly username: string; readonly password: string }) => ({
  authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`,
});

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

function bodyOf(read: ReadBody): unknown {
  switch (read.kind) {
    case 'empty':
      return null;
    case 'binary':
      return { base64: read.bytes.toString('base64'), contentType: read.contentType };
    case 'text':
      return read.isJson && !read.isCut ? parsed(read.text) : read.text;
  }
}

function parsed(text: string): unknown {
  try {
    const value = parseAsWritten(text);
    return isTooDeep(value) ? text : value;
  } catch {
    return text;
  }
}

/** What is deeper cannot be recorded, and is passed on as text. */
function isTooDeep(value: unknown): boolean {
  const isNested = (one: unknown): one is object => typeof one === 'object' && one !== null;
  let layer = [value].filter(isNested);
  for (let depth = 0; depth < MAX_DEPTH && layer.length > 0; depth++)
    layer = layer.flatMap((one) => (Object.values(one) as unknown[]).filter(isNested));
  return layer.length > 0;
}
