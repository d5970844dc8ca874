import type { InboundRequest, ProviderContext, Verdict } from '#libs/plugin-sdk/src/define-provider.js';
import { hmacSha256Hex, verifyBearer, verifyHmac } from '#libs/plugin-sdk/src/signatures.js';

const SIGNATURE = { header: 'x-webhook-signature', prefix: 'sha256=' } as const;
const HUB_SIGNATURE = { header: 'x-hub-signature-256', prefix: 'sha256=' } as const;

/** What an integration without a scheme of its own may be told. */
export const bearerConfig = {
  properties: { bearer: { type: 'boolean', description: 'accept bearer tokens only' } },
} as const;

/**
 * What any sender can do: sign the raw body (`X-Webhook-Signature` or `X-Hub-Signature-256`) or show the secret itself as a
 * bearer token. `config.bearer` asks for the token and looks at no signature.
 */
export function verifySharedSecret(request: InboundRequest, context: ProviderContext): Verdict {
  if (context.secrets.length === 0) return { ok: true, authentication: 'slug' };
  if (context.config['bearer'] === true) return verifyBearer(request, context);
  if (request.headers[SIGNATURE.header] !== undefined) return verifyHmac(request, context, SIGNATURE);
  if (request.headers[HUB_SIGNATURE.header] !== undefined) return verifyHmac(request, context, HUB_SIGNATURE);
  return verifyBearer(request, context);
}

export function signSharedSecret(
  { rawBody }: Pick<InboundRequest, 'rawBody'>,
  { secrets: [secret], config }: ProviderContext,
): Record<string, string> {
  if (secret === undefined) return {};
  return config['bearer'] === true
    ? { authorization: `Bearer ${secret}` }
    : { [SIGNATURE.header]: `${SIGNATURE.prefix}${hmacSha256Hex(secret, rawBody)}` };
}
