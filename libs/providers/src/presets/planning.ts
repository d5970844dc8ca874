import { definePreset, type Preset } from '#libs/plugin-sdk/src/scheme/define-preset.js';
import { textOf } from '#libs/plugin-sdk/src/fields.js';

import { jiraEvent } from './neutral/jira.js';
import { linearEvent } from './neutral/linear.js';
import { always, hmac, secretFrom, string } from './preset-parts.js';

/** Trackers, boards and documents. */
export const planningPresets: readonly Preset[] = [
  definePreset({
    name: 'linear',
    title: 'Linear',
    docs: 'https://linear.app/developers/webhooks',
    group: 'planning',
    timed: true,
    declare: always({
      verify: hmac('Linear-Signature', { timestamp: { field: 'webhookTimestamp', unit: 'ms', tolerance: '1m' } }),
      read: { eventType: 'type', deliveryId: 'header:Linear-Delivery', occurredAt: 'createdAt' },
    }),
    neutral: linearEvent,
    secret: secretFrom('Shown as "Signing secret" on the page of the webhook.'),
    help: [
      'In Linear, go to Settings → API → Webhooks → New webhook.',
      'Set URL to {url}, choose the data change events and save.',
      'Copy the signing secret as the secret of the integration.',
    ],
  }),
  definePreset({
    name: 'jira',
    title: 'Jira',
    docs: 'https://developer.atlassian.com/cloud/jira/platform/webhooks/',
    group: 'planning',
    declare: always({
      verify: hmac('X-Hub-Signature', { prefix: 'sha256=' }),
      read: { eventType: 'webhookEvent', deliveryId: 'header:X-Atlassian-Webhook-Identifier', occurredAt: 'timestamp' },
      retries: { header: 'X-Atlassian-Webhook-Retry', beyond: 0 },
    }),
    neutral: jiraEvent,
    secret: secretFrom('Choose "Generate secret" in the form of the webhook, or enter your own.'),
    help: [
      'In Jira, go to Settings → System → WebHooks → Create a WebHook.',
      'Set URL to {url} and enter the secret.',
      'Choose the events and save.',
    ],
  }),
  definePreset({
    name: 'asana',
    title: 'Asana',
    docs: 'https://developers.asana.com/docs/webhooks-guide',
    group: 'planning',
    declare: always({
      verify: hmac('X-Hook-Signature'),
      read: {
        eventType: "join('.', [resource.resource_type, action])",
        deliveryId: 'hash:body',
        occurredAt: 'created_at',
        each: 'events',
      },
      handshake: { kind: 'asana' },
      answer: { status: 200 },
    }),
    secret: {
      needed: false,
      from: 'Leave it out: Asana sends one when the webhook is made, and it is kept.',
    },
    help: [
      'Create the integration without a secret.',
      'Call POST https://app.asana.com/api/1.0/webhooks with { "data": { "resource": "…", "target": "{url}" } }.',
      'Asana sends its secret to the address, and Millrace keeps it. To accept another one, POST …/handshake on the integration first.',
    ],
  }),
  definePreset({
    name: 'trello',
    title: 'Trello',
    docs: 'https://developer.atlassian.com/cloud/trello/guides/rest-api/webhooks/',
    group: 'planning',
    declare: always({
      verify: hmac('X-Trello-Webhook', {
        algorithm: 'sha1',
        encoding: 'base64',
        signed: '{body}{url}',
        acceptWeak: true,
      }),
      read: { eventType: 'action.type', deliveryId: 'action.id', occurredAt: 'action.date' },
      handshake: { kind: 'head' },
      answer: { status: 200 },
    }),
    signsUrl: true,
    secret: secretFrom('The API secret of your Power-Up, on https://trello.com/power-ups/admin.'),
    help: [
      'Set MILLRACE_PUBLIC_URL to the address that Trello reaches, since it signs the URL.',
      'Call POST https://api.trello.com/1/webhooks with callbackURL={url} and idModel of the board.',
      'Trello checks the address with HEAD: create the integration first.',
    ],
  }),
  definePreset({
    name: 'notion',
    title: 'Notion',
    docs: 'https://developers.notion.com/reference/webhooks',
    group: 'planning',
    declare: always({
      verify: hmac('X-Notion-Signature', { prefix: 'sha256=' }),
      read: { eventType: 'type', deliveryId: 'id', occurredAt: 'timestamp' },
      handshake: { kind: 'notion' },
    }),
    secret: { needed: false, from: 'Leave it out: Notion sends a verification token, and it is kept.' },
    help: [
      'Create the integration without a secret.',
      'In your integration on notion.so/profile/integrations, open Webhooks → Create a subscription and enter {url}.',
      'Read the verification token from GET /api/v1/integrations/:id/handshake and enter it in Notion.',
    ],
  }),
  definePreset({
    name: 'figma',
    title: 'Figma',
    docs: 'https://developers.figma.com/docs/rest-api/webhooks-security/',
    group: 'planning',
    declare: always({
      verify: { kind: 'field', field: 'passcode' },
      read: {
        eventType: 'event_type',
        deliveryId: "join(':', [webhook_id, event_type, file_key, timestamp])",
        occurredAt: 'timestamp',
      },
    }),
    secret: secretFrom('Make one up and send it as "passcode" when you create the webhook.'),
    help: [
      'Call POST https://api.figma.com/v2/webhooks with "endpoint": "{url}" and "passcode": the secret.',
      'Figma sends a PING at once: it is received as an event.',
    ],
  }),
  definePreset({
    name: 'airtable',
    title: 'Airtable',
    docs: 'https://airtable.com/developers/web/api/webhooks-overview',
    group: 'planning',
    declare: always({
      verify: hmac('X-Airtable-Content-MAC', { prefix: 'hmac-sha256=', key: 'base64' }),
      read: { eventType: "'changed'", deliveryId: "join(':', [webhook.id, timestamp])", occurredAt: 'timestamp' },
      answer: { status: 200, body: '' },
    }),
    secret: secretFrom('macSecretBase64 in the answer to creating the webhook.', 'base64'),
    help: [
      'Call POST https://api.airtable.com/v0/bases/:base/webhooks with "notificationUrl": "{url}".',
      'Use macSecretBase64 of the answer as the secret of the integration.',
      'Airtable only says that something changed: ask for the payloads of the webhook in a workflow.',
    ],
  }),
  definePreset({
    name: 'monday',
    title: 'monday.com',
    docs: 'https://developer.monday.com/apps/docs/integration-authorization',
    group: 'planning',
    settings: { properties: { audience: string('The address that the token must be made for.') } },
    declare: ({ audience }) => ({
      verify: {
        kind: 'jwt',
        header: 'Authorization',
        algorithm: 'HS256',
        ...(textOf(audience) !== undefined && { audience: textOf(audience)! }),
      },
      read: { eventType: 'event.type', deliveryId: 'event.triggerUuid', occurredAt: 'event.triggerTime' },
      handshake: { kind: 'echo', method: 'POST', from: 'challenge', as: 'challenge' },
      answer: { status: 200 },
    }),
    secret: secretFrom('The signing secret of your app, in the Developer Center.'),
    help: [
      'In the Developer Center of monday.com, open your app and copy its signing secret as the secret.',
      'Add a webhook with the address {url}. monday.com checks it at once with a challenge.',
      'The token proves the sender, not the body: keep the address secret.',
    ],
  }),
  definePreset({
    name: 'clickup',
    title: 'ClickUp',
    docs: 'https://developer.clickup.com/docs/webhooksignature',
    group: 'planning',
    declare: always({
      verify: hmac('X-Signature'),
      read: { eventType: 'event', deliveryId: "join(':', [webhook_id, history_items[0].id])" },
    }),
    unverified: true,
    secret: secretFrom('webhook.secret in the answer to creating the webhook.'),
    help: [
      'Call POST https://api.clickup.com/api/v2/team/:team/webhook with "endpoint": "{url}".',
      'Use webhook.secret of the answer as the secret of the integration.',
    ],
  }),
];
