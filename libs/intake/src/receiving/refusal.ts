import type { RefusalReason } from '#libs/plugin-sdk/src/define-provider.js';
import type { BodyFault } from '#libs/plugin-sdk/src/body/inbound-body.js';

import type { CountedReason } from '../integration/counters.js';

/** Why a request is not accepted. Returned, not thrown: on this path refusing is as ordinary as accepting. */
export class Refusal {
  constructor(
    readonly status: number,
    readonly code: string,
    /** Tells the sender what to do next. Never holds anything of the request. */
    readonly detail: string,
    readonly reason: CountedReason,
    /** Seconds. */
    readonly retryAfter?: number,
    /** Methods that the address accepts, for a 405. */
    readonly allow?: string,
    /** Value of `WWW-Authenticate`. */
    readonly challenge?: string,
    /** For the log alone: what the sender need not know. */
    readonly cause?: string,
  ) {}

  /** The same refusal, with what the log says about it. */
  because(cause: string): Refusal {
    const { status, code, detail, reason, retryAfter, allow, challenge } = this;
    return new Refusal(status, code, detail, reason, retryAfter, allow, challenge, cause);
  }
}

/** Largest body, in bytes. */
export const MAX_BODY_BYTES = 1024 * 1024;

/** Identical for unknown, disabled, deleted and malformed addresses: trying them reveals nothing. */
export const NOT_FOUND = {
  status: 404,
  code: 'inbound.not_found',
  detail:
    'No integration receives at this address. Copy the address from the integration again and check that it is enabled.',
} as const;

const refusals: Readonly<Record<RefusalReason, (wants: string, challenge?: string) => Refusal>> = {
  signature_missing: (wants, challenge) =>
    notProved('signature_missing', `The request has no signature or token. Send ${wants}.`, challenge),
  signature_malformed: (wants, challenge) =>
    notProved('signature_malformed', `The signature or token is malformed. Send ${wants}.`, challenge),
  signature_mismatch: (wants, challenge) =>
    notProved(
      'signature_mismatch',
      `The signature or token does not match the body and this integration's secret. Sign the raw bytes exactly as they are sent: ${wants}.`,
      challenge,
    ),
  stale: (wants) =>
    notProved(
      'stale',
      `The signed time is too far from now. Check the clock of the sender; an old request must be signed again. Send ${wants}.`,
    ),
  unavailable: () => KEYS_UNAVAILABLE,
};

const notProved = (reason: Exclude<RefusalReason, 'unavailable'>, detail: string, challenge?: string): Refusal =>
  new Refusal(401, `inbound.${reason}`, detail, reason, undefined, undefined, challenge);

const KEYS_UNAVAILABLE = new Refusal(
  503,
  'inbound.keys_unavailable',
  'The public keys of this sender cannot be fetched now, so the request cannot be verified. Send it again after the seconds in Retry-After.',
  'unavailable',
  10,
);

/**
 * Words that we do not know count as a mismatch: a provider's words must not become part of an answer.
 * @param wants what the provider says that a sender must send.
 */
export const refusedBecause = (
  reason: RefusalReason,
  wants = 'the signature or token that the provider of this integration asks for',
  challenge?: string,
): Refusal => refusals[Object.hasOwn(refusals, reason) ? reason : 'signature_mismatch'](wants, challenge);

/** A sender gives a secret away, and none is expected. */
export const NOT_EXPECTED = notProved(
  'signature_mismatch',
  'This integration already has a secret. Open it for another handshake with POST /api/v1/integrations/:id/handshake, then try again.',
);

export const handshakeRefused = (status: 400 | 403, detail: string): Refusal =>
  new Refusal(status, 'inbound.handshake_refused', detail, 'malformed');

export const TOO_LARGE = new Refusal(
  413,
  'inbound.body_too_large',
  'The body is larger than 1 MiB. Send less: most senders can leave out parts or split the request.',
  'too_large',
);

export const EVENT_TOO_LARGE = new Refusal(
  413,
  'inbound.event_too_large',
  'The body is at most 1 MiB, but its event is larger than the log accepts. Send a smaller body.',
  'too_large',
);

export const SOURCE_REFUSED = new Refusal(
  403,
  'inbound.source_address',
  'This address may not send to this integration. Add it to allowedSources, or send from an address that is listed there.',
  'source_address',
);

export const rateLimited = (waitMs: number): Refusal =>
  new Refusal(
    429,
    'inbound.rate_limited',
    'The rate limit of this integration is exceeded. Try again after the seconds in Retry-After.',
    'rate_limited',
    Math.max(1, Math.ceil(waitMs / 1000)),
  );

const BUSY_SECONDS = 5;
export const TOO_MANY_EXECUTIONS = new Refusal(
  429,
  'agent.too_many_executions',
  'The agent runs as many executions as maxConcurrent allows. Try again after the seconds in Retry-After.',
  'rate_limited',
  BUSY_SECONDS,
);

export const malformed = (code: string, detail: string): Refusal => new Refusal(400, code, detail, 'malformed');

const FAULT_REASONS = { 400: 'malformed', 413: 'too_large', 415: 'unsupported_type' } as const;

export const unreadable = ({ status, code, detail }: BodyFault): Refusal =>
  new Refusal(status, code, detail, FAULT_REASONS[status]);

export const UNAVAILABLE = new Refusal(
  503,
  'inbound.unavailable',
  'The event cannot be stored now and was not accepted. Send it again after the seconds in Retry-After.',
  'unavailable',
  5,
);

export const BUSY = new Refusal(
  503,
  'inbound.busy',
  'The server is receiving too many large bodies now. Send it again after the seconds in Retry-After.',
  'unavailable',
  1,
);

export const PROVIDER_MISSING = new Refusal(
  503,
  'inbound.provider_missing',
  'The plug-in with the provider of this integration is not loaded. Add it to MILLRACE_PLUGINS; the sender may try again.',
  'unavailable',
  60,
);

/** Other methods than POST, on every inbound address alike, whether an integration receives there or not. */
export const METHOD_NOT_ALLOWED = new Refusal(
  405,
  'inbound.method_not_allowed',
  'Send webhooks with POST.',
  'malformed',
  undefined,
  'POST',
);

/** For providers that receive nothing. */
export const notInbound = (detail: string): Refusal =>
  new Refusal(405, 'inbound.not_inbound', detail, 'not_inbound', undefined, '');

export const PROVIDER_FAILED = new Refusal(
  500,
  'inbound.provider_failed',
  'The provider of this integration failed while it verified the request. The log of the server has the error; the sender may try again.',
  'failed',
);

export const VERIFY_TIMED_OUT = new Refusal(
  503,
  'inbound.verify_timeout',
  'The provider of this integration did not verify the request in time. Send it again after the seconds in Retry-After.',
  'unavailable',
  10,
);

export const BROKEN_OFF = malformed(
  'inbound.broken_off',
  'The body is shorter than Content-Length says: the connection was interrupted. Send it again.',
);

export const FAILED = new Refusal(
  500,
  'inbound.failed',
  'An internal error occurred before the event was stored. Send it again.',
  'failed',
);
