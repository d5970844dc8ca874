import { eventUuidOf, executionIdOf } from '#libs/events/src/envelope.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import type { Accepted } from './provider-output.js';
import { NOT_FOUND, type Refusal } from './refusal.js';

/** An answer as it goes over the wire. */
export interface Written {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  /** Seconds. */
  readonly retryAfter?: number | undefined;
  /** Methods that the address accepts, for a 405. */
  readonly allow?: string | undefined;
  /** Value of `WWW-Authenticate`. */
  readonly challenge?: string | undefined;
}

/** What of a refusal goes over the wire. */
type Refused = Pick<Refusal, 'status' | 'code' | 'detail' | 'retryAfter' | 'allow' | 'challenge'>;

/** The id by which the log knows the request; absent where all answers must be the same. */
type RequestId = string | undefined;

/** How a family of routes writes its answers. */
export interface AnswerForm {
  accepted(outcome: Accepted): Written;
  refused(refusal: Refused, requestId?: RequestId): Written;
  /** Written once, so that it is the same to the last byte for every address where nothing receives. */
  readonly notFound: Written;
}

export const PROBLEM_TYPE = 'application/problem+json; charset=utf-8';
const JSON_TYPE = 'application/json; charset=utf-8';

const TITLES: Readonly<Record<number, string>> = {
  400: 'Invalid request',
  401: 'Not authenticated',
  403: 'Not allowed',
  404: 'Not found',
  405: 'Method not allowed',
  413: 'Too large',
  415: 'Unsupported media type',
  429: 'Too many requests',
  500: 'Internal error',
  503: 'Unavailable',
};

/** 202 and the ids, or 200 with what a run came to; refusals are problems as in RFC 9457. */
export const platformForm: AnswerForm = {
  accepted: ({ eventIds, duplicate, answer, run }) =>
    answer
      ? { status: answer.status, contentType: answer.contentType ?? JSON_TYPE, body: answer.body }
      : {
          status: run?.status === undefined ? 202 : 200,
          contentType: JSON_TYPE,
          body: stringifyJson({ eventIds, duplicate, ...run }),
        },
  refused: problem,
  notFound: problem(NOT_FOUND),
};

/** The envelope of custom paths: 200, and 400, 404 or 500 for every refusal. */
export const customPathForm: AnswerForm = {
  accepted: ({ eventIds, duplicate, answer, run }) =>
    answer
      ? { status: answer.status, contentType: answer.contentType ?? JSON_TYPE, body: answer.body }
      : {
          // A sender of these expects 200 for every request that was taken; of a run that goes on there is no `status`.
          status: 200,
          contentType: JSON_TYPE,
          body: stringifyJson({
            success: true,
            message: duplicate ? 'Webhook was already processed' : 'Webhook processed successfully',
            data: { eventIds, duplicate, ...run },
          }),
        },
  refused: envelope,
  notFound: envelope(NOT_FOUND),
};

/** Chats show the answer to the author of the message: it is empty, unless the provider gives one. */
export const communicatorForm: AnswerForm = {
  accepted: ({ answer }) => ({
    status: answer?.status ?? 200,
    contentType: answer ? (answer.contentType ?? JSON_TYPE) : 'text/plain; charset=utf-8',
    body: answer?.body ?? '',
  }),
  refused: problem,
  notFound: problem(NOT_FOUND),
};

/**
 * The envelope of agents' webhooks. The execution has the id of the inbound event, with another prefix; each line or
 * element is an execution of its own.
 */
export const agentForm: AnswerForm = {
  accepted: ({ eventIds }) => {
    const ids = eventIds.map((id) => executionIdOf(eventUuidOf(id)!));
    const data = { executionId: ids[0], status: 'running', ...(ids.length !== 1 && { executionIds: ids }) };
    return { status: 202, contentType: JSON_TYPE, body: stringifyJson({ success: true, data }) };
  },
  refused: agentError,
  notFound: agentError(NOT_FOUND),
};

function agentError({ status, code, detail, retryAfter, allow }: Refused): Written {
  const body = stringifyJson({ success: false, error: { code, message: detail } });
  return { status, contentType: JSON_TYPE, body, retryAfter, allow };
}

function problem({ status, code, detail, retryAfter, allow, challenge }: Refused, requestId?: RequestId): Written {
  const title = TITLES[status] ?? 'Refused';
  const body = stringifyJson({ type: 'about:blank', title, status, code, detail, requestId });
  return { status, contentType: PROBLEM_TYPE, body, retryAfter, allow, challenge };
}

function envelope({ status, detail, retryAfter }: Refused): Written {
  const reduced = status === 404 ? 404 : status >= 500 ? 500 : 400;
  return {
    status: reduced,
    contentType: JSON_TYPE,
    body: stringifyJson({ success: false, message: detail }),
    retryAfter,
  };
}
