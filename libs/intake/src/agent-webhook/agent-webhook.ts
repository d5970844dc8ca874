import { defineProvider, type Verdict } from '#libs/plugin-sdk/src/define-provider.js';
import { fieldsOf, textOf } from '#libs/plugin-sdk/src/fields.js';
import { verifyBearer, verifyHmac } from '#libs/plugin-sdk/src/signatures.js';

const SIGNATURE = { header: 'x-webhook-signature', prefix: 'sha256=' } as const;

/**
 * Requests to the webhook of an agent. No integration uses this provider: its addresses exist while an agent's webhook is
 * enabled, and `config` comes from the agent.
 */
export const agentWebhook = defineProvider({
  name: 'agent_webhook',
  description: 'The webhook of an agent.',
  wants:
    'X-Webhook-Signature: sha256= and 64 hex digits, the HMAC-SHA256 of the raw body, where the agent asks for hmac; or Authorization: Bearer and the secret, where it asks for bearer',
  anyBody: true,
  keepHeaders: [
    'user-agent',
    'content-type',
    'idempotency-key',
    'x-event-type',
    'x-github-event',
    'x-request-id',
    'traceparent',
  ],

  verify(request, context): Verdict {
    const { auth } = context.config;
    if (auth === 'none') return { ok: true, authentication: 'slug' };
    // A proof is wanted and there is no secret: nobody can give one.
    if (context.secrets.length === 0) return { ok: false, reason: 'signature_mismatch' };
    return auth === 'hmac' ? verifyHmac(request, context, SIGNATURE) : verifyBearer(request, context);
  },

  normalise({ value, request: { headers } }, { config }) {
    return {
      deliveryId: headers['idempotency-key'],
      eventType: headers['x-event-type'] || headers['x-github-event'] || (textOf(fieldsOf(value)['type']) ?? 'webhook'),
      events: [{ type: 'webhook.received', subject: `agent/${textOf(config['agentId']) ?? ''}`, data: {} }],
    };
  },
});
