import { defineProvider, type Verdict } from '#libs/plugin-sdk/src/define-provider.js';
import { fieldsOf, textOf } from '#libs/plugin-sdk/src/fields.js';
import { timingSafeEqual, verifyHmac } from '#libs/plugin-sdk/src/signatures.js';

const SIGNATURE = { header: 'x-webhook-signature', prefix: 'sha256=' } as const;
const BEARER = /^bearer +(\S+) *$/i;

/**
 * What is sent to the webhook of an agent. No integration can be made of it: its addresses are there while an agent's
 * webhook is enabled, and `config` is what the agent says.
 */
export const agentWebhook = defineProvider({
  name: 'agent_webhook',
  description: 'The webhook of an agent.',
  keepHeaders: ['user-agent', 'idempotency-key', 'x-event-type', 'x-github-event', 'x-request-id', 'traceparent'],

  verify(request, context): Verdict {
    const { auth } = context.config;
    if (auth === 'none') return { ok: true, authentication: 'slug' };
    // Asked for a proof and given no secret to hold it against: nobody can prove anything.
    if (context.secrets.length === 0) return { ok: false, reason: 'signature_mismatch' };
    if (auth === 'hmac') return verifyHmac(request, context, SIGNATURE);
    const { authorization } = request.headers;
    if (authorization === undefined) return { ok: false, reason: 'signature_missing' };
    const token = BEARER.exec(authorization)?.[1];
    if (token === undefined) return { ok: false, reason: 'signature_malformed' };
    let matches = false;
    for (const secret of context.secrets) matches = timingSafeEqual(secret, token) || matches;
    return matches ? { ok: true, authentication: 'bearer' } : { ok: false, reason: 'signature_mismatch' };
  },

  normalise({ value, request: { headers } }, { config }) {
    return {
      deliveryId: headers['idempotency-key'],
      eventType: headers['x-event-type'] || headers['x-github-event'] || (textOf(fieldsOf(value)['type']) ?? 'webhook'),
      events: [{ type: 'webhook.received', subject: `agent/${textOf(config['agentId']) ?? ''}`, data: {} }],
    };
  },
});
