import { randomBytes } from 'node:crypto';

import { hmacSha256Hex } from '#libs/plugin-sdk/src/signatures.js';
import { STANDARD_SECRET_PREFIX, standardKey, standardSignature } from '#libs/plugin-sdk/src/standard-webhooks.js';

/** The header with the hex signature, unless the webhook names another. */
export const SIGNATURE_HEADER = 'X-Millrace-Signature';

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

export interface Message {
  /** `msg_…`: the same for every attempt and every redelivery. */
  readonly messageId: string;
  /** Of this attempt, in whole seconds since 1970. */
  readonly timestamp: number;
  readonly body: Buffer | string;
}

/**
 * The signature headers of one attempt. `secrets` are those in force, the newest first: in the time of grace after a
 * rotation the standard header carries one signature for each, and the hex header, which holds only one, the newest.
 *
 * The key of the hex signature is the secret's text as it was shown, `whsec_` included; that of the standard one is what
 * the text stands for.
 */
export function signatureHeaders(
  { messageId, timestamp, body }: Message,
  secrets: readonly string[],
  signatureHeader: string = SIGNATURE_HEADER,
): Record<string, string> {
  const unsigned = { 'webhook-id': messageId, 'webhook-timestamp': String(timestamp) };
  const [newest] = secrets;
  if (newest === undefined) return unsigned;
  const signatures = secrets.flatMap((secret) => {
    const key = standardKey(secret);
    return key === undefined ? [] : [standardSignature(key, messageId, timestamp, body)];
  });
  return {
    ...unsigned,
    [signatureHeader]: `sha256=${hmacSha256Hex(newest, body)}`,
    'webhook-signature': signatures.join(' '),
  };
}
