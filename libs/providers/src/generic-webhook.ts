import { defineProvider, type InboundRequest, type ProviderContext } from '#libs/plugin-sdk/src/define-provider.js';
import type { Verdict } from '#libs/plugin-sdk/src/define-provider.js';
import { fieldsOf, textOf } from '#libs/plugin-sdk/src/fields.js';
import { timingSafeEqual, verifyHmac } from '#libs/plugin-sdk/src/signatures.js';

const SIGNATURE = { header: 'x-webhook-signature', prefix: 'sha256=' } as const;
const HUB_SIGNATURE = { header: 'x-hub-signature-256', prefix: 'sha256=' } as const;
const BEARER = /^bearer +(\S+) *$/i;

/**
 * Any program that can send JSON or a form. It signs the raw body (`X-Webhook-Signature` or `X-Hub-Signature-256`) or
 * shows the secret itself as a bearer token; `config.bearer` asks for the token and looks at no signature.
 */
export const genericWebhook = defineProvider({
  name: 'generic_webhook',
  description: 'Any sender: signed with HMAC-SHA256, with a bearer token, or by its unguessable URL alone.',
  config: { properties: { bearer: { type: 'boolean', description: 'accept bearer tokens only' } } },
  keepHeaders: [
    'user-agent',
    'x-event-type',
    'x-github-event',
    'x-webhook-event',
    'idempotency-key',
    'x-request-id',
    'traceparent',
  ],

  verify(request, context) {
    if (context.secrets.length === 0) return { ok: true, authentication: 'slug' };
    if (context.config['bearer'] === true) return verifyBearer(request, context);
    if (request.headers[SIGNATURE.header] !== undefined) return verifyHmac(request, context, SIGNATURE);
    if (request.headers[HUB_SIGNATURE.header] !== undefined) return verifyHmac(request, context, HUB_SIGNATURE);
    return verifyBearer(request, context);
  },

  normalise({ value, request: { headers } }) {
    const body = fieldsOf(value);
    const eventType =
      headers['x-event-type'] ||
      headers['x-github-event'] ||
      headers['x-webhook-event'] ||
      (textOf(body['event']) ?? textOf(body['type']) ?? 'webhook');
    return {
      deliveryId: headers['idempotency-key'],
      eventType,
      events: [{ type: 'webhook.received', subject: '', data: {} }],
    };
  },
});

function verifyBearer(request: InboundRequest, { secrets }: ProviderContext): Verdict {
  const authorization = request.headers['authorization'];
  if (authorization === undefined) return { ok: false, reason: 'signature_missing' };
  const token = BEARER.exec(authorization)?.[1];
  if (token === undefined) return { ok: false, reason: 'signature_malformed' };
  let matches = false;
  for (const secret of secrets) matches = timingSafeEqual(secret, token) || matches;
  return matches ? { ok: true, authentication: 'bearer' } : { ok: false, reason: 'signature_mismatch' };
}
