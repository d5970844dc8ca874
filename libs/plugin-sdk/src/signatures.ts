import { createHmac, hash, timingSafeEqual as equalBytes } from 'node:crypto';

import type { InboundRequest, ProviderContext, Verdict } from './define-provider.js';

/** HMAC-SHA256 of the raw bytes, as 64 lower-case hex digits. */
export const hmacSha256Hex = (secret: string | Buffer, data: Buffer | string): string =>
  createHmac('sha256', secret).update(data).digest('hex');

/** Whether two texts are equal, in a time that tells neither where they differ nor how long they are. */
export function timingSafeEqual(left: string, right: string): boolean {
  // Digests have one length, whatever the texts.
  return equalBytes(hash('sha256', left, 'buffer'), hash('sha256', right, 'buffer'));
}

/** Whether a time of the sender is at most `toleranceMs` (default 5 minutes) before or after `now`. */
export function withinTolerance(timestampMs: number, now: Date, toleranceMs = 300_000): boolean {
  return Math.abs(now.getTime() - timestampMs) <= toleranceMs;
}

export interface HmacScheme {
  /** Lower-case name of the header that holds the signature. */
  readonly header: string;
  /** What stands before the 64 lower-case hex digits: `sha256=`. Default nothing. */
  readonly prefix?: string;
  /** What is signed, where that is not the raw body alone. */
  readonly signed?: (request: InboundRequest) => Buffer | string;
}

/**
 * The scheme that most senders use: HMAC-SHA256 in hex, in one header. Tries every secret; without one the slug alone
 * authenticates.
 */
export function verifyHmac(request: InboundRequest, { secrets }: ProviderContext, scheme: HmacScheme): Verdict {
  if (secrets.length === 0) return { ok: true, authentication: 'slug' };
  const given = request.headers[scheme.header];
  if (given === undefined) return { ok: false, reason: 'signature_missing' };
  const prefix = scheme.prefix ?? '';
  if (given.length !== prefix.length + 64 || !given.startsWith(prefix))
    return { ok: false, reason: 'signature_malformed' };
  const presented = Buffer.from(given.slice(prefix.length), 'latin1');
  const signed = scheme.signed ? scheme.signed(request) : request.rawBody;
  let matches = false;
  // No early end: the time must not tell which of the secrets it was.
  for (const secret of secrets)
    matches = equalBytes(Buffer.from(hmacSha256Hex(secret, signed), 'latin1'), presented) || matches;
  return matches ? { ok: true, authentication: 'hmac-sha256' } : { ok: false, reason: 'signature_mismatch' };
}

/**
 * Whether a header holds one of the secrets, in a time that tells neither which nor where it differs. Node reads each byte
 * of a header as one character, so it is compared byte for byte: with the secret in UTF-8, as senders write it, and in
 * latin1 for those that write that.
 */
export function holdsSecret(header: string, secrets: readonly string[]): boolean {
  const given = digest(latin1(header) ?? header);
  let matches = false;
  for (const secret of secrets) {
    matches = equalBytes(digest(secret), given) || matches;
    matches = equalBytes(digest(latin1(secret) ?? secret), given) || matches;
  }
  return matches;
}

/** Of bytes, or of a text in UTF-8. */
const digest = (of: Buffer | string): Buffer => hash('sha256', of, 'buffer');

/** One byte a character; `undefined` for a text that has others, which no header off the wire has. */
function latin1(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'latin1');
  return bytes.toString('latin1') === text ? bytes : undefined;
}

/** Only a blank or a tab ends a token: the second byte of `à` in UTF-8 is, as a character, a no-break space. */
const BEARER = /^bearer +([^ \t]+) *$/i;

/** The secret itself in `Authorization: Bearer`. Tries every secret; without one nobody is believed. */
export function verifyBearer({ headers }: InboundRequest, { secrets }: ProviderContext): Verdict {
  const { authorization } = headers;
  if (authorization === undefined) return { ok: false, reason: 'signature_missing' };
  const token = BEARER.exec(authorization)?.[1];
  if (token === undefined) return { ok: false, reason: 'signature_malformed' };
  return holdsSecret(token, secrets)
    ? { ok: true, authentication: 'bearer' }
    : { ok: false, reason: 'signature_mismatch' };
}
