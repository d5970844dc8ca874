import { WrongRevision } from '#libs/event-store/src/event-store.js';
import { type Problem, Rejected, type RejectionKind, Transient } from '#libs/kernel/src/errors.js';
import { newId } from '#libs/kernel/src/ids.js';

import { MalformedRequest } from './json-body.js';

/** RFC 9457. `code` is for programs, `detail` for people. */
export interface ProblemBody {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  /** Problems in the request's body, each with an RFC 6901 pointer. */
  readonly errors?: readonly Problem[];
  /** Of the line in the server's log that says what went wrong. */
  readonly errorId?: string;
}

export interface ProblemAnswer {
  readonly body: ProblemBody;
  readonly headers: Readonly<Record<string, string>>;
  /** What is not shown, for the server's log alone. */
  readonly bug?: unknown;
}

export const PROBLEM_TYPE = 'application/problem+json';

const STATUS: Readonly<Record<RejectionKind, number>> = {
  invalid: 422,
  unauthenticated: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  conflict: 409,
  too_large: 413,
  unsupported: 415,
  rate_limited: 429,
};

const TITLES: Readonly<Record<number, string>> = {
  400: 'Malformed request',
  401: 'Not authenticated',
  403: 'Not allowed',
  404: 'Not found',
  405: 'Method not allowed',
  408: 'Request timeout',
  409: 'Conflict',
  412: 'Changed in the meantime',
  413: 'Too large',
  414: 'URI too long',
  415: 'Unsupported media type',
  417: 'Expectation failed',
  422: 'Invalid request',
  429: 'Too many requests',
  431: 'Headers too large',
  500: 'Internal error',
  503: 'Unavailable',
};

/** Codes of what the HTTP layer itself refuses, by status: these errors know nothing better. */
const HTTP_CODES: Readonly<Record<number, string>> = {
  400: 'request.malformed',
  404: 'route.not_found',
  405: 'route.method_not_allowed',
  408: 'request.timeout',
  413: 'request.too_large',
  414: 'request.url_too_long',
  415: 'request.unsupported_media_type',
  417: 'request.expectation_failed',
  431: 'request.headers_too_large',
};

/** The one place where errors become HTTP numbers. Never throws, and shows nothing of a bug. */
export function problemOf(error: unknown): ProblemAnswer {
  if (error instanceof Rejected) return rejected(error);
  if (error instanceof Transient)
    return answer(503, error.code, 'The server cannot do this at the moment. Try again shortly.', {
      headers: { 'retry-after': '1' },
      bug: error,
    });
  if (error instanceof WrongRevision)
    return answer(
      409,
      'revision.conflict',
      'Another request changed it at the same time. Read it again and repeat the change if it still applies.',
    );
  const status = httpStatusOf(error);
  if (status !== undefined && status >= 400 && status < 500)
    return answer(status, HTTP_CODES[status] ?? 'http.refused', detailOf(status, error as Error), {
      body: error instanceof MalformedRequest && error.problems.length > 0 ? { errors: error.problems } : {},
    });
  const errorId = newId('evt').replace('evt_', 'err_');
  return answer(500, 'server.internal', `An internal error occurred. It is in the server's log as ${errorId}.`, {
    body: { errorId },
    bug: error,
  });
}

function rejected({ kind, code, message, problems, retryAfter }: Rejected): ProblemAnswer {
  const status = code === 'revision.changed' ? 412 : STATUS[kind];
  const wait = retryAfter ?? (kind === 'rate_limited' ? 1 : undefined);
  return answer(status, code, message, {
    body: problems.length > 0 ? { errors: problems } : {},
    headers: {
      ...(wait !== undefined && { 'retry-after': String(Math.ceil(wait)) }),
      ...(kind === 'unauthenticated' && {
        'www-authenticate': `Bearer realm="millrace"${code === 'token.missing' ? '' : ', error="invalid_token"'}`,
      }),
    },
  });
}

function answer(
  status: number,
  code: string,
  detail: string,
  more: { body?: Partial<ProblemBody>; headers?: Record<string, string>; bug?: unknown } = {},
): ProblemAnswer {
  const title = TITLES[status] ?? 'Refused';
  return {
    body: { type: 'about:blank', title, status, code, detail, ...more.body },
    headers: more.headers ?? {},
    ...(more.bug !== undefined && { bug: more.bug }),
  };
}

/** Of an HttpException of Nest or an error of Fastify: both carry a number, neither a code of ours. */
export function httpStatusOf(error: unknown): number | undefined {
  const { getStatus, statusCode } = (error ?? {}) as { getStatus?: () => number; statusCode?: unknown };
  if (typeof getStatus === 'function') return getStatus.call(error);
  return typeof statusCode === 'number' ? statusCode : undefined;
}

/** In our words where Fastify's help nobody, or repeat what was sent. */
const DETAILS: Readonly<Record<string, string>> = {
  FST_ERR_CTP_INVALID_JSON_BODY: 'The body must be valid JSON, without keys such as __proto__.',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'The body is empty. Send a JSON object, or leave the Content-Type out.',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'The body must be as long as Content-Length says.',
  FST_ERR_BAD_URL: 'The path cannot be decoded: a percent sign must be followed by two hexadecimal digits.',
};

function detailOf(status: number, error: Error): string {
  const known = 'code' in error && typeof error.code === 'string' ? DETAILS[error.code] : undefined;
  if (known !== undefined) return known;
  switch (status) {
    case 413:
      return 'The body must not be larger than 1 MiB.';
    case 414:
      return 'A part of the path is too long.';
    case 415:
      return 'Send the body as JSON, with the header "Content-Type: application/json".';
    default:
      return error.message;
  }
}
