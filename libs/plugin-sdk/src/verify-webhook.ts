import { createHmac, timingSafeEqual } from 'node:crypto';

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

/** The delivery is what its sender made of it; `messageId` is the same for every attempt: remember it to do things once. */
export type Verified =
  | { readonly ok: true; readonly messageId: string; readonly sentAt: Date }
  | {
      readonly ok: false;
      readonly reason: 'header_missing' | 'timestamp_outside_tolerance' | 'secret_malformed' | 'signature_mismatch';
    };

/**
 * For receivers: whether a delivery comes from a Millrace that knows `secret`, unchanged and now. Checks the Standard
 * Webhooks signature, which covers the time and so is safe against repetition.
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
  const id = header(headers, 'webhook-id');
  const timestamp = header(headers, 'webhook-timestamp');
  const signatures = header(headers, 'webhook-signature');
  if (!id || !timestamp || !signatures) return { ok: false, reason: 'header_missing' };
  const seconds = /^\d{1,12}$/.test(timestamp) ? Number(timestamp) : Number.NaN;
  const distance = Math.abs((options.now ?? new Date()).getTime() / 1000 - seconds);
  if (!(distance <= (options.toleranceSeconds ?? 300))) return { ok: false, reason: 'timestamp_outside_tolerance' };
  const keys = (typeof secret === 'string' ? [secret] : secret).map(standardKey);
  const given = signatures.split(' ').slice(0, MAX_SIGNATURES);
  let matches = false;
  for (const key of keys) {
    if (key === undefined) return { ok: false, reason: 'secret_malformed' };
    const expected = standardSignature(key, id, timestamp, rawBody);
    // No early end: the time must not tell which signature it was.
    for (const one of given) matches = isEqual(one, expected) || matches;
  }
  return matches
    ? { ok: true, messageId: id, sentAt: new Date(seconds * 1000) }
    : { ok: false, reason: 'signature_mismatch' };
}

const MAX_SIGNATURES = 16;

/**
 * Whether `X-Millrace-Signature: sha256=…` (or the header that was chosen in its place) fits the body. It covers the body
 * alone: a recorded delivery that is sent again passes. Prefer {@link verifyWebhook}.
 */
export function verifyHexSignature(rawBody: Buffer | string, signature: string, secret: string): boolean {
  return isEqual(signature, `sha256=${createHmac('sha256', secret).update(rawBody).digest('hex')}`);
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
