import { definePreset, type Preset } from '#libs/plugin-sdk/src/scheme/define-preset.js';

import { always, hmac, secretFrom } from './preset-parts.js';

/** Payments and shops. */
export const paymentPresets: readonly Preset[] = [
  definePreset({
    name: 'stripe',
    title: 'Stripe',
    docs: 'https://docs.stripe.com/webhooks',
    group: 'payments',
    timed: true,
    declare: always({
      verify: hmac('Stripe-Signature', { list: { signature: 'v1', timestamp: 't' }, signed: '{timestamp}.{body}' }),
      read: { eventType: 'type', deliveryId: 'id', occurredAt: 'created' },
    }),
    secret: secretFrom('Shown as "Signing secret" of the endpoint.', 'whsec_ and letters and digits'),
    help: [
      'In the Stripe dashboard, go to Developers → Webhooks → Add destination.',
      'Choose the events, then set Endpoint URL to {url}.',
      'Reveal the signing secret and copy it.',
    ],
  }),
  definePreset({
    name: 'shopify',
    title: 'Shopify',
    docs: 'https://shopify.dev/docs/apps/build/webhooks',
    group: 'payments',
    declare: always({
      verify: hmac('X-Shopify-Hmac-Sha256', { encoding: 'base64' }),
      read: {
        eventType: 'header:X-Shopify-Topic',
        deliveryId: 'header:X-Shopify-Webhook-Id',
        occurredAt: 'header:X-Shopify-Triggered-At',
      },
    }),
    secret: secretFrom('The client secret of the app, or the value below the webhooks of the shop.'),
    help: [
      'In the Shopify admin, go to Settings → Notifications → Webhooks → Create webhook.',
      'Choose the event and the format JSON, and set URL to {url}.',
      'Copy the value with which webhooks are signed, shown below the list.',
    ],
  }),
  definePreset({
    name: 'square',
    title: 'Square',
    docs: 'https://developer.squareup.com/docs/webhooks/overview',
    group: 'payments',
    declare: always({
      verify: hmac('x-square-hmacsha256-signature', { encoding: 'base64', signed: '{url}{body}' }),
      read: { eventType: 'type', deliveryId: 'event_id', occurredAt: 'created_at' },
    }),
    signsUrl: true,
    secret: secretFrom('Shown as "Signature Key" of the subscription.'),
    help: [
      'Set MILLRACE_PUBLIC_URL to the address that Square reaches, since it signs the URL.',
      'In the Developer Console, open your application and go to Webhooks → Subscriptions → Add subscription.',
      'Set Notification URL to exactly {url}, choose the events and save. Copy the signature key.',
    ],
  }),
  definePreset({
    name: 'paddle',
    title: 'Paddle Billing',
    docs: 'https://developer.paddle.com/webhooks/overview',
    group: 'payments',
    timed: true,
    declare: always({
      verify: hmac('Paddle-Signature', {
        list: { signature: 'h1', timestamp: 'ts', separator: ';' },
        signed: '{timestamp}:{body}',
      }),
      read: { eventType: 'event_type', deliveryId: 'event_id', occurredAt: 'occurred_at' },
    }),
    secret: secretFrom('Shown as "Secret key" of the notification destination.', 'pdl_ntfset_ and letters and digits'),
    help: [
      'In Paddle, go to Developer tools → Notifications → New destination.',
      'Set URL to {url}, choose the events and save.',
      'Open the destination again and copy its secret key.',
    ],
  }),
  definePreset({
    name: 'lemonsqueezy',
    title: 'Lemon Squeezy',
    docs: 'https://docs.lemonsqueezy.com/help/webhooks',
    group: 'payments',
    declare: always({
      verify: hmac('X-Signature'),
      read: { eventType: 'header:X-Event-Name', deliveryId: 'hash:body' },
      answer: { status: 200 },
    }),
    secret: secretFrom('Make one up and enter it as "Signing secret".'),
    help: [
      'In Lemon Squeezy, go to Settings → Webhooks → add one.',
      'Set Callback URL to {url} and Signing secret to the secret.',
      'Choose the events and save.',
    ],
  }),
  definePreset({
    name: 'adyen',
    title: 'Adyen',
    docs: 'https://docs.adyen.com/development-resources/webhooks/',
    group: 'payments',
    declare: always({
      verify: {
        kind: 'hmac',
        field: 'additionalData.hmacSignature',
        encoding: 'base64',
        key: 'hex',
        signed:
          '{json:pspReference}:{json:originalReference}:{json:merchantAccountCode}:{json:merchantReference}:{json:amount.value}:{json:amount.currency}:{json:eventCode}:{json:success}',
        acceptWeak: true,
      },
      read: {
        eventType: 'eventCode',
        deliveryId: "join(':', [pspReference, eventCode, success])",
        occurredAt: 'eventDate',
        each: 'notificationItems[].NotificationRequestItem',
      },
      answer: { status: 200, contentType: 'text/plain', body: '[accepted]' },
    }),
    secret: secretFrom('Choose "Generate" under HMAC key in the form of the webhook.', '64 hex digits'),
    help: [
      'In the Customer Area, go to Developers → Webhooks → Create new webhook → Standard webhook.',
      'Set URL to {url} and Method to JSON.',
      'Generate the HMAC key, copy it as the secret, and save.',
      'Adyen signs some fields of each item, not the whole body.',
    ],
  }),
];
