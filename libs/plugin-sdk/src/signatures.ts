import { createHmac, hash, timingSafeEqual as equalBytes } from 'node:crypto';

import type { InboundRequest, ProviderContext, Verdict } from './define-provider.js';

export const EMPTY_KEY = 'The secret must not be empty: anyone could sign with it.';

/**
 * HMAC-SHA256 of the raw bytes, as 64 lower-case hex digits.
 * @throws RangeError for an empty secret: anybody could sign with it.
 */
export function hmacSha256Hex(secret: string | Buffer, data: Buffer | string): string {
  if (secret.length === 0) throw new RangeError(EMPTY_KEY);
  return createHmac('sha256', secret).update(data).digest('hex');
}

/** Whether two texts or buffers are equal. The time it takes reveals neither where they differ nor how long they are. */
export function timingSafeEqual(left: string | Buffer, right: string | Buffer): boolean {
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
  /** What stands before the 64 hex digits: `sha256=`. Default nothing. Prefix and digits may be in upper or lower case. */
  readonly prefix?: string;
  /** What is signed, where that is not the raw body alone. */
  readonly signed?: (request: InboundRequest) => Buffer | string;
}

/**
 * The scheme that most senders use: HMAC-SHA256 in hex, in one header. Tries every secret; where none is configured, the
 * URL alone authenticates. An empty secret matches nothing.
 */
export function verifyHmac(request: InboundRequest, { secrets }: ProviderContext, scheme: HmacScheme): Verdict {
  if (secrets.length === 0) return { ok: true, authentication: 'slug' };
  const given = request.headers[scheme.header];
  if (given === undefined) return { ok: false, reason: 'signature_missing' };
  const prefix = scheme.prefix ?? '';
  const digits = given.slice(prefix.length);
  if (given.slice(0, prefix.length).toLowerCase() !== prefix.toLowerCase() || !SHA256_HEX.test(digits))
    return { ok: false, reason: 'signature_malformed' };
  const presented = Buffer.from(digits, 'hex');
  const signed = scheme.signed ? scheme.signed(request) : request.rawBody;
  let matches = false;
  // Compares with all of them: the time must not reveal which secret it was.
  for (const secret of secrets)
    if (secret !== '') matches = equalBytes(createHmac('sha256', secret).update(signed).digest(), presented) || matches;
  return matches ? { ok: true, authentication: 'hmac-sha256' } : { ok: false, reason: 'signature_mismatch' };
}

const SHA256_HEX = /^[0-9a-f]{64}$/i;

/**
 * Whether a header holds one of the secrets; an empty one is never held. The time it takes reveals neither which secret nor
 * where it differs. Node reads each byte of a header as one character, so bytes are compared: with the secret in UTF-8, as
 * most senders write it, and in Latin-1.
 */
export function holdsSecret(header: string, secrets: readonly string[]): boolean {
  const given = digest(latin1(header) ?? header);
  let matches = false;
  for (const secret of secrets) {
    if (secret === '') continue;
    matches = equalBytes(digest(secret), given) || matches;
    matches = equalBytes(digest(latin1(secret) ?? secret), given) || matches;
  }
  return matches;
}

/** Of bytes, or of a text in UTF-8. */
const digest = (of: Buffer | string): Buffer => hash('sha256', of, 'buffer');

/** One byte a character; `undefined` for a text with other characters, which no header off the wire has. */
function latin1(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'latin1');
  return bytes.toString('latin1') === text ? bytes : undefined;
}

/** Only a blank or a tab ends a token: the second byte of `à` in UTF-8 is, as a character, a no-break space. */
const BEARER = /^bearer +([^ \t]+) *$/i;

/** The secret itself in `Authorization: Bearer`. Tries every secret; where none is configured, every request is refused. */
export function verifyBearer({ headers }: InboundRequest, { secrets }: ProviderContext): Verdict {
  const { authorization } = headers;
  if (authorization === undefined) return { ok: false, reason: 'signature_missing' };
  const token = BEARER.exec(authorization)?.[1];
  if (token === undefined) return { ok: false, reason: 'signature_malformed' };
  return holdsSecret(token, secrets)
    ? { ok: true, authentication: 'bearer' }
    : { ok: false, reason: 'signature_mismatch' };
}
