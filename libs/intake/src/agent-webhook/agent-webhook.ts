import { defineProvider, type Verdict } from '#libs/plugin-sdk/src/define-provider.js';
import { fieldsOf, textOf } from '#libs/plugin-sdk/src/fields.js';
import { verifyBearer, verifyHmac } from '#libs/plugin-sdk/src/signatures.js';

const SIGNATURE = { header: 'x-webhook-signature', prefix: 'sha256=' } as const;

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
