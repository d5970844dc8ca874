import { hmacSha256Hex } from './signatures.js';
import { standardKey, standardSignature } from './standard-webhooks.js';

/** The header with the hex signature, unless the webhook names another. */
export const SIGNATURE_HEADER = 'X-Millrace-Signature';
/** The header beside it with the signatures of earlier secrets, while these are valid. */
export const previousHeader = (signatureHeader: string): string => `${signatureHeader}-Previous`;

export interface Message {
  /** The same for every attempt: `msg_…` of a delivery, `exec_…` of an execution. */
  readonly messageId: string;
  /** Of this attempt, in whole seconds since 1970. */
  readonly timestamp: number;
  readonly body: Buffer | string;
}

/**
 * The signature headers of one attempt. `secrets` are those in force, the newest first: in the time of grace after a
 * rotation the standard header carries one signature for each. Receivers compare the hex header as a whole, so it has that of
 * the newest secret alone; those of earlier secrets are in a header of their own.
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
  const [newest, ...previous] = secrets;
  const hexOf = (secret: string): string => `sha256=${hmacSha256Hex(secret, body)}`;
  if (newest === undefined) return unsigned;
  const signatures = secrets.flatMap((secret) => {
    const key = standardKey(secret);
    return key === undefined ? [] : [standardSignature(key, messageId, timestamp, body)];
  });
  return {
    ...unsigned,
    [signatureHeader]: hexOf(newest),
    ...(previous.length > 0 && { [previousHeader(signatureHeader)]: previous.map(hexOf).join(', ') }),
    'webhook-signature': signatures.join(' '),
  };
}
