import { timingSafeEqual } from 'node:crypto';

import { hmacSha256Hex } from './signatures.js';
import { standardKey, standardSignature } from './standard-webhooks.js';

/** Headers as Node, Express, Fastify (objects) or `fetch` (a `Headers`) have them. */
export type IncomingHeaders =
  Readonly<Record<string, string | readonly string[] | undefined>> | { get(name: string): string | null };

export interface VerifyOptions {
  /** How far the time of the delivery may be from now, in seconds (default 300). */
  readonly toleranceSeconds?: number;
  /** Default: the system's clock. */
  readonly now?: Date;
}

/** `messageId` is the same for every attempt: remember it, so that a repeat has no effect. */
export type Verified =
  | { readonly ok: true; readonly messageId: string; readonly sentAt: Date }
  | {
      readonly ok: false;
      readonly reason: keyof typeof DETAILS;
      /** What is wrong and what to do, for a log. Holds nothing of the request and no secret. */
      readonly detail: string;
    };

const DETAILS = {
  header_missing: 'The request must have the headers webhook-id, webhook-timestamp and webhook-signature.',
  timestamp_outside_tolerance:
    'webhook-timestamp must be the time in seconds since 1970 and close to now. Check the clocks; an old delivery is refused.',
  secret_malformed:
    'There must be at least one secret, and none may be empty or have anything but base64 after whsec_. Check the setting.',
  signature_mismatch: 'No signature matches. Verify the bytes exactly as they came, with the secret of the webhook.',
} as const;

const refused = (reason: keyof typeof DETAILS): Verified => ({ ok: false, reason, detail: DETAILS[reason] });

/**
 * For receivers: whether a delivery was sent by a Millrace that knows `secret`, unchanged and now. Checks the Standard
 * Webhooks signature, which covers the time and so protects against replay.
 *
 * @param rawBody the bytes as they came, before any parsing: JSON that was parsed and written again is another text.
 * @param secret as it was shown when the webhook was set up; several during a rotation.
 */
export function verifyWebhook(
  rawBody: Buffer | string,
  headers: IncomingHeaders,
  secret: string | readonly string[],
  options: VerifyOptions = {},
): Verified {
  const keys = (typeof secret === 'string' ? [secret] : secret).map(standardKey);
  if (keys.length === 0 || !keys.every((key) => key !== undefined)) return refused('secret_malformed');
  const id = header(headers, 'webhook-id');
  const timestamp = header(headers, 'webhook-timestamp');
  const signatures = header(headers, 'webhook-signature');
  if (!id || !timestamp || !signatures) return refused('header_missing');
  const seconds = /^\d{1,12}$/.test(timestamp) ? Number(timestamp) : Number.NaN;
  const distance = Math.abs((options.now ?? new Date()).getTime() / 1000 - seconds);
  if (!(distance <= (options.toleranceSeconds ?? 300))) return refused('timestamp_outside_tolerance');
  // Signatures of other versions may stand beside it.
  const given = signatures.split(' ').filter((one) => one.startsWith('v1,'));
  let matches = false;
  for (const key of keys) {
    const expected = standardSignature(key, id, timestamp, rawBody);
    // Compares with all of them: the time must not reveal which signature it was.
    for (const one of given.slice(0, MAX_SIGNATURES)) matches = isEqual(one, expected) || matches;
  }
  return matches ? { ok: true, messageId: id, sentAt: new Date(seconds * 1000) } : refused('signature_mismatch');
}

const MAX_SIGNATURES = 16;

/**
 * Whether `X-Millrace-Signature: sha256=…` (or the header that replaces it) matches the body. It covers the body alone: a
 * recorded delivery that is sent again passes. Prefer {@link verifyWebhook}.
 * @throws RangeError for an empty secret: anybody could sign with it.
 */
export function verifyHexSignature(rawBody: Buffer | string, signature: string, secret: string): boolean {
  return isEqual(signature.toLowerCase(), `sha256=${hmacSha256Hex(secret, rawBody)}`);
}

function isEqual(given: string, expected: string): boolean {
  const [left, right] = [Buffer.from(given), Buffer.from(expected)];
  return left.length === right.length && timingSafeEqual(left, right);
}

function header(headers: IncomingHeaders, name: string): string | undefined {
  if (typeof headers.get === 'function') return headers.get(name) ?? undefined;
  const object = headers as Readonly<Record<string, string | readonly string[] | undefined>>;
  const key = Object.keys(object).find((candidate) => candidate.toLowerCase() === name);
  const value = key === undefined ? undefined : object[key];
  return typeof value === 'string' ? value : value?.[0];
}
