import type { InboundRequest, ProviderContext, Verdict } from '#libs/plugin-sdk/src/define-provider.js';
import { hmacSha256Hex, verifyBearer, verifyHmac } from '#libs/plugin-sdk/src/signatures.js';

const PREFIX = 'sha256=';
const SIGNATURE = 'x-webhook-signature';
/** In the order in which they are looked at. Bitbucket and Jira send the last one. */
const SIGNATURE_HEADERS = [SIGNATURE, 'x-hub-signature-256', 'x-hub-signature'] as const;

/** For providers that have no scheme of their own. */
export const bearerConfig = {
  properties: { bearer: { type: 'boolean', description: 'accept bearer tokens only' } },
} as const;

export const SHARED_SECRET_WANTS =
  'X-Webhook-Signature, X-Hub-Signature-256 or X-Hub-Signature: sha256= and 64 hex digits, the HMAC-SHA256 of the raw body; or Authorization: Bearer and the secret, which is the only way where config.bearer is true';

/**
 * What any sender can do: sign the raw body in one of three headers, or show the secret itself as a bearer token.
 * `config.bearer` asks for the token and ignores signatures.
 */
export function verifySharedSecret(request: InboundRequest, context: ProviderContext): Verdict {
  if (context.secrets.length === 0) return { ok: true, authentication: 'slug' };
  if (context.config['bearer'] === true) return verifyBearer(request, context);
  const { headers } = request;
  const header = SIGNATURE_HEADERS.find((name) => headers[name] !== undefined);
  return header === undefined || (isSha1(headers[header]!) && headers['authorization'] !== undefined)
    ? verifyBearer(request, context)
    : verifyHmac(request, context, { header, prefix: PREFIX });
}

/** `X-Hub-Signature` of older senders, who may show a token as well. */
const isSha1 = (signature: string): boolean => signature.startsWith('sha1=');

export function signSharedSecret(
  { rawBody }: Pick<InboundRequest, 'rawBody'>,
  { secrets: [secret], config }: ProviderContext,
): Record<string, string> {
  if (secret === undefined) return {};
  return config['bearer'] === true
    ? { authorization: `Bearer ${secret}` }
    : { [SIGNATURE]: `${PREFIX}${hmacSha256Hex(secret, rawBody)}` };
}
