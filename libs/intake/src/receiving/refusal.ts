import type { RefusalReason } from '#libs/plugin-sdk/src/define-provider.js';
import type { BodyFault } from '#libs/plugin-sdk/src/inbound-body.js';

import type { CountedReason } from '../integration/counters.js';

/** The "no" to a request: not thrown, since on this path refusing is as ordinary as accepting. */
export class Refusal {
  constructor(
    readonly status: number,
    readonly code: string,
    /** Tells the sender what to do next. Never holds anything of the request. */
    readonly detail: string,
    readonly reason: CountedReason,
    /** Seconds. */
    readonly retryAfter?: number,
    /** Methods that the address takes, for a 405. */
    readonly allow?: string,
  ) {}
}

/** Largest body, in bytes. */
export const MAX_BODY_BYTES = 1024 * 1024;

/** One and the same for unknown, disabled, deleted and malformed addresses: nothing can be found out by trying. */
export const NOT_FOUND = {
  status: 404,
  code: 'inbound.not_found',
  detail: 'Nothing is received at this address. Copy it again from the integration, and see that it is enabled.',
} as const;

const unauthenticated: Readonly<Record<RefusalReason, Refusal>> = {
  signature_missing: new Refusal(
    401,
    'inbound.signature_missing',
    'The request is not signed. Send the signature (or the token) that the provider of this integration asks for.',
    'signature_missing',
  ),
  signature_malformed: new Refusal(
    401,
    'inbound.signature_malformed',
    'What was sent as signature cannot be one: for HMAC-SHA256 write sha256= and 64 lower-case hex digits.',
    'signature_malformed',
  ),
  signature_mismatch: new Refusal(
    401,
    'inbound.signature_mismatch',
    'The signature does not belong to this body and secret. Sign the raw bytes as they are sent, with the secret of this integration.',
    'signature_mismatch',
  ),
  stale: new Refusal(
    401,
    'inbound.stale',
    'The signed time is more than five minutes from now. Check the clock of the sender; old requests cannot be sent again as they are.',
    'stale',
  ),
  unavailable: new Refusal(
    503,
    'inbound.keys_unavailable',
    'The keys with which this sender signs cannot be fetched at the moment. Send it again after the seconds in Retry-After.',
    'unavailable',
    10,
  ),
};

/** Unknown words of a provider count as a mismatch: they must not become part of an answer. */
export const refusedBecause = (reason: RefusalReason): Refusal =>
  Object.hasOwn(unauthenticated, reason) ? unauthenticated[reason] : unauthenticated.signature_mismatch;

export const TOO_LARGE = new Refusal(
  413,
  'inbound.body_too_large',
  'The body is larger than 1 MiB. Send less: most senders can leave parts out or split what they send.',
  'too_large',
);

export const EVENT_TOO_LARGE = new Refusal(
  413,
  'inbound.event_too_large',
  'The body is within 1 MiB, but not the event with what the platform adds to it. Send a few kilobytes less.',
  'too_large',
);

export const SOURCE_REFUSED = new Refusal(
  403,
  'inbound.source_address',
  'This address may not send to this integration. Add it to allowedSources, or send from one that is there.',
  'source_address',
);

export const rateLimited = (waitMs: number): Refusal =>
  new Refusal(
    429,
    'inbound.rate_limited',
    'More requests than the rate limit of this integration allows. Try again after the seconds in Retry-After.',
    'rate_limited',
    Math.max(1, Math.ceil(waitMs / 1000)),
  );

export const UNSUPPORTED_TYPE = new Refusal(
  415,
  'inbound.unsupported_type',
  'Send application/json, application/x-www-form-urlencoded or application/x-ndjson, in UTF-8, and say so in Content-Type.',
  'unsupported_type',
);

export const malformed = (code: string, detail: string): Refusal => new Refusal(400, code, detail, 'malformed');

const FAULT_REASONS = { 400: 'malformed', 413: 'too_large', 415: 'unsupported_type' } as const;

export const unreadable = ({ status, code, detail }: BodyFault): Refusal =>
  new Refusal(status, code, detail, FAULT_REASONS[status]);

export const UNAVAILABLE = new Refusal(
  503,
  'inbound.unavailable',
  'The event cannot be stored at the moment and has not been acknowledged. Send it again after the seconds in Retry-After.',
  'unavailable',
  5,
);

export const PROVIDER_MISSING = new Refusal(
  503,
  'inbound.provider_missing',
  'The plug-in that understands this integration is not loaded. Add it to MILLRACE_PLUGINS; the sender may try again.',
  'unavailable',
  60,
);

/** Other methods than POST, on every inbound address alike, whether something is received there or not. */
export const METHOD_NOT_ALLOWED = new Refusal(
  405,
  'inbound.method_not_allowed',
  'Webhooks are sent with POST.',
  'malformed',
  undefined,
  'POST',
);

/** For providers at which nothing comes in. */
export const notInbound = (detail: string): Refusal =>
  new Refusal(405, 'inbound.not_inbound', detail, 'not_inbound', undefined, '');

export const PROVIDER_FAILED = new Refusal(
  500,
  'inbound.provider_failed',
  'The provider of this integration failed while checking the request. The log of the server says how; the sender may try again.',
  'failed',
);

export const BROKEN_OFF = malformed(
  'inbound.broken_off',
  'The body is not as long as Content-Length says: it broke off on the way. Send it again.',
);

export const FAILED = new Refusal(
  500,
  'inbound.failed',
  'Something went wrong in the server before the event was stored. Send it again.',
  'failed',
);
