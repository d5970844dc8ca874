import { randomBytes } from 'node:crypto';

import { STANDARD_SECRET_PREFIX, standardKey } from '#libs/plugin-sdk/src/standard-webhooks.js';

/** A new secret: `whsec_` and 32 random bytes in base64. */
export const newSecret = (): string => STANDARD_SECRET_PREFIX + randomBytes(32).toString('base64');

const MIN_LENGTH = 8;
const MAX_LENGTH = 512;

/** Why a text cannot be a webhook's secret; `undefined` if it can. */
export function secretRefusal(secret: string): string | undefined {
  if (secret.length < MIN_LENGTH || secret.length > MAX_LENGTH)
    return `Must have ${MIN_LENGTH} to ${MAX_LENGTH} characters. Leave it out to get a generated one.`;

  if (/[\u0000-\u001f\u007f]/.test(secret)) return 'Must not contain control characters.';
  if (standardKey(secret) === undefined)
    return 'Must be base64 after whsec_. Use base64, another prefix, or leave it out.';
  return undefined;
}
