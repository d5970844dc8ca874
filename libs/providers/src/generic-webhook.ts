import { headerText } from '#libs/plugin-sdk/src/body/body-text.js';
import { defineProvider } from '#libs/plugin-sdk/src/define-provider.js';
import { fieldsOf, textOf } from '#libs/plugin-sdk/src/fields.js';

import { bearerConfig, SHARED_SECRET_WANTS, signSharedSecret, verifySharedSecret } from './shared-secret.js';

/** Any program that can send a request. */
export const genericWebhook = defineProvider({
  name: 'generic_webhook',
  description: 'Any sender: signed with HMAC-SHA256, with a bearer token, or by its unguessable URL alone.',
  wants: SHARED_SECRET_WANTS,
  anyBody: true,
  config: bearerConfig,
  keepHeaders: [
    'user-agent',
    'content-type',
    'x-event-type',
    'x-github-event',
    'x-webhook-event',
    'x-event-key',
    'idempotency-key',
    'x-request-id',
    'traceparent',
  ],

  verify: verifySharedSecret,
  sign: signSharedSecret,

  normalise({ value, request: { headers } }) {
    const body = fieldsOf(value);
    const named =
      headers['x-event-type'] || headers['x-github-event'] || headers['x-webhook-event'] || headers['x-event-key'];
    const eventType = named ? headerText(named) : (textOf(body['event']) ?? textOf(body['type']) ?? 'webhook');
    return {
      deliveryId: headers['idempotency-key'],
      eventType,
      events: [{ type: 'webhook.received', subject: '', data: {} }],
    };
  },
});
