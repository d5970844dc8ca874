import { createHmac } from 'node:crypto';

import { EMPTY_KEY } from './signatures.js';

/** Prefix of secrets whose rest is base64, as the Standard Webhooks specification defines them. */
export const STANDARD_SECRET_PREFIX = 'whsec_';

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/;

/**
 * The key of a Standard Webhooks signature: what follows `whsec_` in base64, or the bytes of the text itself if the secret
 * has no such prefix. `undefined` where there is no key: the secret is empty, or what follows is empty or not base64.
 */
export function standardKey(secret: string): Buffer | undefined {
  if (secret === '') return undefined;
  if (!secret.startsWith(STANDARD_SECRET_PREFIX)) return Buffer.from(secret, 'utf8');
  const encoded = secret.slice(STANDARD_SECRET_PREFIX.length);
  return encoded !== '' && BASE64.test(encoded) ? Buffer.from(encoded, 'base64') : undefined;
}

/**
 * One entry of `webhook-signature`: `v1,` and the base64 HMAC-SHA256 over `id.timestamp.body`.
 * @throws RangeError for an empty key: anybody could sign with it.
 */
export function standardSignature(key: Buffer, id: string, timestamp: number | string, body: Buffer | string): string {
  if (key.length === 0) throw new RangeError(EMPTY_KEY);
  return `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest('base64')}`;
}
