import { definePreset, type Preset } from '#libs/plugin-sdk/src/scheme/define-preset.js';
import { textOf } from '#libs/plugin-sdk/src/fields.js';

import { always, hmac, noSecret, secretFrom, standardHmac, string } from './preset-parts.js';

const SENDGRID = 'X-Twilio-Email-Event-Webhook';

/** Chats, calls and mail. */
export const messagingPresets: readonly Preset[] = [
  definePreset({
    name: 'twilio',
    title: 'Twilio',
    docs: 'https://www.twilio.com/docs/usage/webhooks/webhooks-security',
    group: 'messaging',
    declare: always({
      verify: hmac('X-Twilio-Signature', {
        algorithm: 'sha1',
        encoding: 'base64',
        signed: '{url}{form}',
        bodyHash: { from: 'query:bodySHA256' },
        acceptWeak: true,
      }),
      read: {
        eventType: ['MessageStatus', 'CallStatus', 'SmsStatus'],
        deliveryId: 'header:I-Twilio-Idempotency-Token',
      },
      answer: { status: 200, contentType: 'text/xml', body: '<Response/>' },
    }),
    signsUrl: true,
    secret: secretFrom('The Auth Token of the account.'),
    help: [
      'Set MILLRACE_PUBLIC_URL to the address that Twilio reaches, since it signs the URL.',
      'In the Twilio Console, open the phone number and set the webhook for messages or calls to {url} with HTTP POST.',
      'Copy the Auth Token of the account as the secret.',
    ],
  }),
  definePreset({
    name: 'discord',
    title: 'Discord',
    docs: 'https://discord.com/developers/docs/events/webhook-events',
    group: 'messaging',
    timed: true,
    settings: {
      properties: { publicKey: string('"Public Key" of the application: 64 hex digits.') },
      required: ['publicKey'],
    },
    declare: ({ publicKey }) => ({
      verify: {
        kind: 'ed25519',
        header: 'X-Signature-Ed25519',
        signed: '{timestamp}{body}',
        timestamp: { header: 'X-Signature-Timestamp' },
        publicKey: textOf(publicKey) ?? '',
      },
      read: { eventType: 'event.type', deliveryId: 'hash:body', occurredAt: 'event.timestamp' },
      handshake: { kind: 'discord' },
      answer: { status: 204 },
    }),
    secret: noSecret,
    help: [
      'In the Developer Portal, open your application and copy its public key into the setting publicKey.',
      'Under Webhooks set the endpoint to {url}, switch events on, choose them and save.',
      'Discord checks the address when you save: create the integration first.',
    ],
  }),
  definePreset({
    name: 'meta',
    title: 'Meta (WhatsApp, Messenger, Instagram)',
    docs: 'https://developers.facebook.com/docs/graph-api/webhooks/getting-started',
    group: 'messaging',
    settings: {
      properties: { verifyToken: string('Made up by you, and entered as "Verify token".') },
      required: ['verifyToken'],
      secrets: ['verifyToken'],
    },
    declare: ({ verifyToken }) => ({
      verify: hmac('X-Hub-Signature-256', { prefix: 'sha256=' }),
      read: {
        eventType: ["join('.', [object, entry[0].changes[0].field])", 'object'],
        deliveryId: ['entry[0].changes[0].value.messages[0].id', 'hash:body'],
      },
      handshake: {
        kind: 'echo',
        method: 'GET',
        from: 'query:hub.challenge',
        as: 'text',
        require: { 'query:hub.verify_token': textOf(verifyToken) ?? '' },
      },
      answer: { status: 200 },
    }),
    secret: secretFrom('"App secret" under App settings → Basic.'),
    help: [
      'In the App Dashboard, copy the app secret as the secret, and make up a verify token for the setting verifyToken.',
      'Under Webhooks → Configure set Callback URL to {url} and Verify token to the same token.',
      'Subscribe to the fields that you need.',
    ],
  }),
  definePreset({
    name: 'zoom',
    title: 'Zoom',
    docs: 'https://developers.zoom.us/docs/api/webhooks/',
    group: 'messaging',
    timed: true,
    declare: always({
      verify: hmac('x-zm-signature', {
        prefix: 'v0=',
        signed: 'v0:{timestamp}:{body}',
        timestamp: { header: 'x-zm-request-timestamp' },
      }),
      read: { eventType: 'event', deliveryId: 'hash:body', occurredAt: 'event_ts' },
      handshake: { kind: 'zoom' },
      answer: { status: 200 },
    }),
    secret: secretFrom('"Secret Token" of the app, under Features → Access.'),
    help: [
      'In the Zoom App Marketplace, open your app and copy its secret token as the secret.',
      'Under Event Subscriptions set the notification endpoint to {url} and choose Validate.',
      'Add the events and save.',
    ],
  }),
  definePreset({
    name: 'telegram',
    title: 'Telegram Bot API',
    docs: 'https://core.telegram.org/bots/api#setwebhook',
    group: 'messaging',
    declare: always({
      verify: { kind: 'header', header: 'X-Telegram-Bot-Api-Secret-Token' },
      read: { eventType: "keys(@)[?@ != 'update_id'] | [0]", deliveryId: 'update_id' },
    }),
    secret: secretFrom('Make one up of letters, digits, _ and -, and send it as secret_token.'),
    help: ['Call setWebhook of the Bot API with url={url} and secret_token set to the secret.'],
  }),
  definePreset({
    name: 'line',
    title: 'LINE',
    docs: 'https://developers.line.biz/en/docs/messaging-api/receiving-messages/',
    group: 'messaging',
    declare: always({
      verify: hmac('X-Line-Signature', { encoding: 'base64' }),
      read: { eventType: 'type', deliveryId: 'webhookEventId', occurredAt: 'timestamp', each: 'events' },
      answer: { status: 200 },
    }),
    secret: secretFrom('"Channel secret" under Basic settings of the channel.'),
    help: [
      'In the LINE Developers Console, open the Messaging API channel and copy its channel secret.',
      'Set Webhook URL to {url}, choose Verify, and switch "Use webhook" on.',
    ],
  }),
  definePreset({
    name: 'intercom',
    title: 'Intercom',
    docs: 'https://developers.intercom.com/docs/webhooks/setting-up-webhooks',
    group: 'messaging',
    declare: always({
      verify: hmac('X-Hub-Signature', { algorithm: 'sha1', prefix: 'sha1=', acceptWeak: true }),
      read: { eventType: 'topic', deliveryId: 'id', occurredAt: 'created_at' },
    }),
    secret: secretFrom('"Client secret" of the app.'),
    help: [
      'In the Developer Hub, open your app and copy its client secret.',
      'Under Webhooks set the endpoint URL to {url}, choose the topics and save.',
    ],
  }),
  definePreset({
    name: 'mailgun',
    title: 'Mailgun',
    docs: 'https://documentation.mailgun.com/docs/mailgun/user-manual/events/webhooks',
    group: 'messaging',
    declare: always({
      verify: {
        kind: 'hmac',
        field: 'signature.signature',
        signed: '{json:signature.timestamp}{json:signature.token}',
        // Mailgun repeats for eight hours what it has signed once.
        timestamp: { field: 'signature.timestamp', tolerance: 'none' },
        acceptWeak: true,
      },
      read: {
        eventType: '"event-data".event',
        deliveryId: 'signature.token',
        occurredAt: '"event-data".timestamp',
      },
    }),
    secret: secretFrom('"HTTP webhook signing key" under API security.'),
    help: [
      'In Mailgun, copy the HTTP webhook signing key as the secret.',
      'Under Sending → Webhooks add a webhook for each event with the address {url}.',
      'Mailgun signs a time and a token, not the body: an attacker who has seen one request can send another body with it. Keep the address secret.',
    ],
  }),
  definePreset({
    name: 'sendgrid',
    title: 'SendGrid Event Webhook',
    docs: 'https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features',
    group: 'messaging',
    timed: true,
    settings: {
      properties: { publicKey: string('"Verification Key" of the Event Webhook, in base64.') },
      required: ['publicKey'],
    },
    declare: ({ publicKey }) => ({
      verify: {
        kind: 'ecdsa',
        header: `${SENDGRID}-Signature`,
        encoding: 'base64',
        signed: '{timestamp}{body}',
        timestamp: { header: `${SENDGRID}-Timestamp` },
        publicKey: textOf(publicKey) ?? '',
      },
      read: { eventType: 'event', deliveryId: 'sg_event_id', occurredAt: 'timestamp', each: '@' },
    }),
    secret: noSecret,
    help: [
      'In SendGrid, go to Settings → Mail Settings → Event Webhooks → Create new webhook.',
      'Set Post URL to {url} and choose the events.',
      'Enable Signature Verification, and copy the verification key into the setting publicKey.',
    ],
  }),
  definePreset({
    name: 'postmark',
    title: 'Postmark',
    docs: 'https://postmarkapp.com/developer/webhooks/webhooks-overview',
    group: 'messaging',
    settings: { properties: { username: string('The user name of the basic authentication. Default postmark.') } },
    declare: ({ username }) => ({
      verify: { kind: 'basic', username: textOf(username) ?? 'postmark' },
      read: { eventType: 'RecordType', deliveryId: "join(':', [MessageID, RecordType])" },
    }),
    secret: secretFrom('Make one up and enter it as the password of the basic authentication.'),
    help: [
      'In Postmark, open the message stream and go to Webhooks → Add webhook.',
      'Set Webhook URL to {url}, and add basic auth with the user name postmark (or the setting username) and the secret.',
    ],
  }),
  definePreset({
    name: 'resend',
    title: 'Resend',
    docs: 'https://resend.com/docs/dashboard/webhooks/introduction',
    group: 'messaging',
    timed: true,
    declare: always({
      verify: standardHmac('svix'),
      read: { eventType: 'type', deliveryId: 'header:svix-id', occurredAt: 'created_at' },
    }),
    secret: secretFrom('Shown as "Signing secret" of the webhook.', 'whsec_ and base64'),
    help: ['In Resend, go to Webhooks → Add Webhook, enter {url} and choose the events.', 'Copy the signing secret.'],
  }),
];
