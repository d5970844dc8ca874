import { parseJson, stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { readHttpBody } from '#libs/kernel/src/text/http-body.js';
import { retryAfterSeconds } from '#libs/kernel/src/time/retry-after.js';
import type { Json } from '#libs/kernel/src/json.js';

import { StepError, type StepHttp } from '../define-step.js';

const MAX_BYTES = 4 * 1024 * 1024;

export interface JsonRequest {
  /** Of the service, for messages: `Slack`. */
  readonly service: string;
  readonly method: string;
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Json;
  /** Sent as `application/x-www-form-urlencoded` in place of `body`. */
  readonly form?: Readonly<Record<string, string>>;
}

export interface JsonAnswer {
  readonly status: number;
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>;
  /** `undefined`: the body is no JSON. */
  readonly value: Json | undefined;
}

/** What a call needs of the context of a step, an action or a messenger. */
export interface JsonCaller {
  readonly http: StepHttp;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/**
 * Calls an API that speaks JSON. Whatever it answers is returned.
 * @throws StepError if no answer came: its code is the failure class, such as `dns` or `timeout`, and it is retryable.
 */
export async function requestJson({ http, timeoutMs, signal }: JsonCaller, request: JsonRequest): Promise<JsonAnswer> {
  const { service, method, url, headers, body, form } = request;
  const content =
    form !== undefined
      ? { type: 'application/x-www-form-urlencoded', text: new URLSearchParams(form).toString() }
      : body !== undefined
        ? { type: 'application/json; charset=utf-8', text: stringifyJson(body) }
        : undefined;
  const outcome = await http.request({
    method,
    url,
    headers: { accept: 'application/json', ...headers, ...(content && { 'content-type': content.type }) },
    ...(content && { body: content.text }),
    timeoutMs,
    keepBytes: MAX_BYTES,
    maxBytes: MAX_BYTES,
    signal,
  });
  if (outcome.kind === 'failed')
    throw new StepError({
      code: outcome.failureClass,
      type: outcome.failureClass === 'timeout' ? 'timeout' : 'communication',
      message: `${service} cannot be reached: ${outcome.detail}.`,
      retryable: !['refused_address', 'redirect', 'body_too_large'].includes(outcome.failureClass),
    });
  const read = await readHttpBody(outcome, MAX_BYTES);
  return {
    status: outcome.status,
    headers: outcome.headers,
    value: read.kind === 'text' ? parsed(read.text) : undefined,
  };
}

function parsed(text: string): Json | undefined {
  try {
    return parseJson(text) as Json;
  } catch {
    return undefined;
  }
}

/** The error of an answer outside 2xx: retryable for 408, 425, 429 and 5xx, with the `Retry-After` of the service. */
export function statusError(service: string, { status, headers }: JsonAnswer, now: Date, detail?: string): StepError {
  const retryAfter = retryAfterSeconds(headers['retry-after'], now);
  return new StepError({
    code: `http.${status}`,
    type: status === 401 || status === 403 ? 'authentication' : 'communication',
    message: `${service} answered ${status}${detail === undefined ? '' : `: ${detail}`}.`,
    retryable: status === 408 || status === 425 || status === 429 || status >= 500,
    ...(retryAfter !== undefined && { retryAfter }),
  });
}
