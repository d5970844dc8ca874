import { definePreset, type Preset } from '#libs/plugin-sdk/src/scheme/define-preset.js';
import { textOf } from '#libs/plugin-sdk/src/fields.js';

import { always, hmac, noSecret, secretFrom, standardHmac, string } from './preset-parts.js';

const GOOGLE_KEYS = 'https://www.googleapis.com/oauth2/v3/certs';

/** Hosting, clouds and identity. */
export const cloudPresets: readonly Preset[] = [
  definePreset({
    name: 'vercel',
    title: 'Vercel',
    docs: 'https://vercel.com/docs/webhooks/webhooks-api',
    group: 'cloud',
    declare: always({
      verify: hmac('x-vercel-signature', { algorithm: 'sha1', acceptWeak: true }),
      read: { eventType: 'type', deliveryId: 'id', occurredAt: 'createdAt' },
    }),
    secret: secretFrom('Shown once when the webhook is created.'),
    help: [
      'In Vercel, go to Team Settings → Webhooks → Create Webhook.',
      'Choose the events and projects, set Endpoint URL to {url}, and copy the secret.',
    ],
  }),
  definePreset({
    name: 'netlify',
    title: 'Netlify',
    docs: 'https://docs.netlify.com/site-deploys/notifications/',
    group: 'cloud',
    declare: always({
      verify: {
        kind: 'jwt',
        header: 'X-Webhook-Signature',
        algorithm: 'HS256',
        issuer: 'netlify',
        bodyHash: { claim: 'sha256' },
      },
      read: {
        eventType: ['header:X-Netlify-Event', 'state'],
        deliveryId: "join(':', [id, state, updated_at])",
        occurredAt: 'updated_at',
      },
    }),
    unverified: true,
    secret: secretFrom('Make one up and enter it as "JWS secret token".'),
    help: [
      'In Netlify, open the project and go to Notifications → Deploy notifications → Add notification → HTTP POST request.',
      'Choose the event, set URL to notify to {url} and JWS secret token to the secret.',
    ],
  }),
  definePreset({
    name: 'heroku',
    title: 'Heroku',
    docs: 'https://devcenter.heroku.com/articles/app-webhooks',
    group: 'cloud',
    declare: always({
      verify: hmac('Heroku-Webhook-Hmac-SHA256', { encoding: 'base64' }),
      read: {
        eventType: 'webhook_metadata.event.include',
        deliveryId: 'header:Heroku-Webhook-Id',
        occurredAt: 'created_at',
      },
    }),
    unverified: true,
    secret: secretFrom('Shown when the webhook is added, or given with -s.'),
    help: ['Run heroku webhooks:add -i api:release -l notify -u {url} -s followed by the secret.'],
  }),
  definePreset({
    name: 'microsoft-graph',
    title: 'Microsoft Graph change notifications',
    docs: 'https://learn.microsoft.com/graph/change-notifications-delivery-webhooks',
    group: 'cloud',
    declare: always({
      verify: { kind: 'field', field: 'clientState' },
      read: { eventType: 'changeType', deliveryId: 'id', each: 'value' },
      handshake: { kind: 'echo', method: 'POST', from: 'query:validationToken', as: 'text' },
    }),
    secret: secretFrom('Make one up and send it as clientState of the subscription.', 'at most 128 characters'),
    help: [
      'Call POST https://graph.microsoft.com/v1.0/subscriptions with "notificationUrl": "{url}" and "clientState": the secret.',
      'Graph checks the address at once: create the integration first. Renew the subscription before it expires.',
    ],
  }),
  definePreset({
    name: 'okta',
    title: 'Okta event hooks',
    docs: 'https://developer.okta.com/docs/concepts/event-hooks/',
    group: 'cloud',
    declare: always({
      verify: { kind: 'header', header: 'Authorization' },
      read: { eventType: 'eventType', deliveryId: 'uuid', occurredAt: 'published', each: 'data.events' },
      handshake: {
        kind: 'echo',
        method: 'GET',
        from: 'header:x-okta-verification-challenge',
        as: 'verification',
        proved: true,
      },
      answer: { status: 200 },
    }),
    secret: secretFrom('Make one up and enter it as "Authentication secret", with the field Authorization.'),
    help: [
      'In the Admin Console, go to Workflow → Event Hooks → Create Event Hook.',
      'Set URL to {url}, Authentication field to Authorization and Authentication secret to the secret.',
      'Choose the events, save, and choose Verify.',
    ],
  }),
  definePreset({
    name: 'clerk',
    title: 'Clerk',
    docs: 'https://clerk.com/docs/webhooks/overview',
    group: 'cloud',
    timed: true,
    declare: always({
      verify: standardHmac('svix'),
      read: { eventType: 'type', deliveryId: 'header:svix-id', occurredAt: 'timestamp' },
    }),
    secret: secretFrom('"Signing Secret" of the endpoint.', 'whsec_ and base64'),
    help: [
      'In the Clerk Dashboard, go to Configure → Webhooks → Add Endpoint, enter {url} and choose the events.',
      'Copy the signing secret.',
    ],
  }),
  definePreset({
    name: 'openai',
    title: 'OpenAI',
    docs: 'https://platform.openai.com/docs/guides/webhooks',
    group: 'cloud',
    timed: true,
    declare: always({
      verify: standardHmac('webhook'),
      read: { eventType: 'type', deliveryId: 'header:webhook-id', occurredAt: 'created_at' },
    }),
    secret: secretFrom('Shown once when the webhook is created.', 'whsec_ and base64'),
    help: [
      'In the settings of the project, go to Webhooks → Create, enter {url} and choose the events.',
      'Copy the signing secret.',
    ],
  }),
  definePreset({
    name: 'aws-sns',
    title: 'Amazon SNS',
    docs: 'https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html',
    group: 'cloud',
    settings: {
      properties: {
        topicArn: string('The topic, such as arn:aws:sns:eu-west-1:123456789012:alerts.', {
          pattern: '^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_.-]{1,256}$',
          expected: 'the ARN of a topic',
        }),
      },
      required: ['topicArn'],
    },
    declare: ({ topicArn }) => ({
      verify: { kind: 'sns', topicArn: textOf(topicArn) ?? '' },
      read: { eventType: 'Type', deliveryId: 'MessageId', occurredAt: 'Timestamp' },
      handshake: { kind: 'sns' },
      answer: { status: 200 },
      json: true,
    }),
    secret: { needed: false, from: 'There is none: Amazon signs with a certificate.' },
    help: [
      'Create the integration with the setting topicArn.',
      'In the SNS console, open the topic and choose Create subscription with the protocol HTTPS and the endpoint {url}.',
      'The subscription is confirmed automatically.',
    ],
  }),
  definePreset({
    name: 'pubsub',
    title: 'Google Cloud Pub/Sub push',
    docs: 'https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions',
    group: 'cloud',
    settings: {
      properties: {
        audience: string('"Audience" of the push subscription.'),
        email: string('The service account that pushes.'),
        keysUrl: string('The JWK set of the issuer. Default: that of Google.', {
          format: 'uri',
          pattern: '^(https://|http://(localhost|127\\.0\\.0\\.1|\\[::1\\])[:/])',
          expected: 'an https URL',
        }),
      },
      required: ['audience', 'email'],
    },
    declare: ({ audience, email, keysUrl }) => ({
      verify: {
        kind: 'jwt',
        header: 'Authorization',
        algorithm: 'RS256',
        keysUrl: textOf(keysUrl) ?? GOOGLE_KEYS,
        issuer: ['https://accounts.google.com', 'accounts.google.com'],
        audience: textOf(audience) ?? '',
        claims: { email: textOf(email) ?? '', email_verified: true },
        maxAge: '1h',
      },
      read: {
        eventType: ['message.attributes.eventType', "'message'"],
        deliveryId: 'message.messageId',
        occurredAt: 'message.publishTime',
      },
    }),
    secret: noSecret,
    help: [
      'Create a push subscription with the endpoint {url} and authentication enabled.',
      'Choose a service account and an audience, and enter both as the settings email and audience.',
    ],
  }),
];
