import { definePreset, type Preset } from '#libs/plugin-sdk/src/scheme/define-preset.js';

import { always, hmac, secretFrom } from './preset-parts.js';

/** Customers, forms, dates and documents. */
export const businessPresets: readonly Preset[] = [
  definePreset({
    name: 'zendesk',
    title: 'Zendesk',
    docs: 'https://developer.zendesk.com/documentation/webhooks/verifying/',
    group: 'business',
    timed: true,
    declare: always({
      verify: hmac('X-Zendesk-Webhook-Signature', {
        encoding: 'base64',
        signed: '{timestamp}{body}',
        timestamp: { header: 'X-Zendesk-Webhook-Signature-Timestamp', unit: 'iso' },
      }),
      read: { eventType: 'type', deliveryId: 'header:X-Zendesk-Webhook-Invocation-Id', occurredAt: 'time' },
    }),
    secret: secretFrom('"Signing secret" of the webhook.'),
    help: [
      'In the Admin Center, go to Apps and integrations → Webhooks → Create webhook.',
      'Set Endpoint URL to {url}, Request method to POST and Request format to JSON.',
      'Reveal the signing secret and copy it.',
    ],
  }),
  definePreset({
    name: 'hubspot',
    title: 'HubSpot',
    docs: 'https://developers.hubspot.com/docs/apps/legacy-apps/authentication/validating-requests',
    group: 'business',
    timed: true,
    declare: always({
      verify: hmac('X-HubSpot-Signature-v3', {
        encoding: 'base64',
        signed: '{method}{url}{body}{timestamp}',
        timestamp: { header: 'X-HubSpot-Request-Timestamp', unit: 'ms' },
      }),
      read: {
        eventType: 'subscriptionType',
        deliveryId: "join(':', [to_string(eventId), to_string(subscriptionId), to_string(occurredAt)])",
        occurredAt: 'occurredAt',
        each: '@',
      },
    }),
    signsUrl: true,
    secret: secretFrom('"Client secret" of the app, under Auth.'),
    help: [
      'Set MILLRACE_PUBLIC_URL to the address that HubSpot reaches, since it signs the URL.',
      'In your developer account, open the app and copy its client secret.',
      'Under Webhooks set Target URL to exactly {url}, then create and activate the subscriptions.',
    ],
  }),
  definePreset({
    name: 'typeform',
    title: 'Typeform',
    docs: 'https://www.typeform.com/developers/webhooks/secure-your-webhooks/',
    group: 'business',
    declare: always({
      verify: hmac('Typeform-Signature', { encoding: 'base64', prefix: 'sha256=' }),
      read: { eventType: 'event_type', deliveryId: 'event_id', occurredAt: 'form_response.submitted_at' },
    }),
    secret: secretFrom('Make one up and enter it as "Secret" of the webhook.'),
    help: [
      'In the form, go to Connect → Webhooks → Add a webhook and enter {url}.',
      'Choose Edit, enter the secret, save, and switch the webhook on.',
    ],
  }),
  definePreset({
    name: 'calendly',
    title: 'Calendly',
    docs: 'https://developer.calendly.com/api-docs/4c305798a61d3-webhook-signatures',
    group: 'business',
    timed: true,
    declare: always({
      verify: hmac('Calendly-Webhook-Signature', {
        list: { signature: 'v1', timestamp: 't' },
        signed: '{timestamp}.{body}',
      }),
      read: { eventType: 'event', deliveryId: 'hash:body', occurredAt: 'created_at' },
    }),
    secret: secretFrom('Make one up and send it as signing_key when you create the subscription.'),
    help: [
      'Call POST https://api.calendly.com/webhook_subscriptions with "url": "{url}" and "signing_key": the secret.',
      'Choose the events and the scope in the same call.',
    ],
  }),
  definePreset({
    name: 'contentful',
    title: 'Contentful',
    docs: 'https://www.contentful.com/developers/docs/webhooks/request-verification/',
    group: 'business',
    timed: true,
    declare: always({
      verify: hmac('x-contentful-signature', {
        signed: '{method}\n{path}\n{headers:x-contentful-signed-headers}\n{body}',
        timestamp: { header: 'x-contentful-timestamp', unit: 'ms' },
      }),
      read: { eventType: 'header:X-Contentful-Topic', deliveryId: 'header:X-Contentful-Idempotency-Key' },
    }),
    signsUrl: true,
    secret: secretFrom(
      'Enable request verification under Settings → Webhooks → Settings: it is shown once.',
      '64 characters',
    ),
    help: [
      'Set MILLRACE_PUBLIC_URL to the address that Contentful reaches, since it signs the path.',
      'In the space, go to Settings → Webhooks → Add webhook and set URL to POST {url}.',
      'Under Settings of the webhooks enable request verification, and copy the secret.',
    ],
  }),
  definePreset({
    name: 'dropbox',
    title: 'Dropbox',
    docs: 'https://www.dropbox.com/developers/reference/webhooks',
    group: 'business',
    declare: always({
      verify: hmac('X-Dropbox-Signature'),
      read: { eventType: "'files.changed'" },
      handshake: { kind: 'echo', method: 'GET', from: 'query:challenge', as: 'text' },
      answer: { status: 200 },
    }),
    secret: secretFrom('"App secret" of the app.'),
    help: [
      'In the App Console, open your app and copy its app secret.',
      'Under Webhooks add {url}. Dropbox checks the address at once: create the integration first.',
      'Dropbox only says whose files changed: ask for them in a workflow.',
    ],
  }),
];
