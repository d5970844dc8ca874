import { definePreset, type Preset } from '#libs/plugin-sdk/src/scheme/define-preset.js';
import { textOf } from '#libs/plugin-sdk/src/fields.js';

import { always, hmac, secretFrom, string } from './preset-parts.js';

const headerName = { pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$", expected: 'the name of a header' };

/** Errors, alerts and incidents. */
export const monitoringPresets: readonly Preset[] = [
  definePreset({
    name: 'sentry',
    title: 'Sentry',
    docs: 'https://docs.sentry.io/organization/integrations/integration-platform/webhooks/',
    group: 'monitoring',
    declare: always({
      verify: hmac('Sentry-Hook-Signature'),
      read: { eventType: 'header:Sentry-Hook-Resource', deliveryId: 'header:Request-ID' },
    }),
    secret: secretFrom('Shown as "Client Secret" of the internal integration.'),
    help: [
      'In Sentry, go to Settings → Developer Settings → Create New Integration → Internal Integration.',
      'Set Webhook URL to {url}, choose the webhooks and save.',
      'Copy the client secret as the secret of the integration.',
    ],
  }),
  definePreset({
    name: 'pagerduty',
    title: 'PagerDuty',
    docs: 'https://developer.pagerduty.com/docs/webhooks/v3-overview/',
    group: 'monitoring',
    declare: always({
      verify: hmac('X-PagerDuty-Signature', { list: { signature: 'v1' } }),
      read: { eventType: 'event.event_type', deliveryId: 'event.id', occurredAt: 'event.occurred_at' },
    }),
    secret: secretFrom('Shown once when the subscription is made.'),
    help: [
      'In PagerDuty, go to Integrations → Generic Webhooks (v3) → New Webhook.',
      'Set Webhook URL to {url}, choose the events and add it.',
      'Copy the secret that is shown once.',
    ],
  }),
  definePreset({
    name: 'grafana',
    title: 'Grafana Alerting',
    docs: 'https://grafana.com/docs/grafana/latest/alerting/configure-notifications/manage-contact-points/integrations/webhook-notifier/',
    group: 'monitoring',
    timed: true,
    settings: {
      properties: {
        timestampHeader: string('The header that Grafana writes the time into; signed where it is set.', headerName),
        header: string('The header of the signature. Default X-Grafana-Alerting-Signature.', headerName),
      },
    },
    declare: ({ timestampHeader, header }) => {
      const time = textOf(timestampHeader);
      return {
        verify: hmac(textOf(header) ?? 'X-Grafana-Alerting-Signature', {
          ...(time !== undefined && { signed: '{timestamp}:{body}', timestamp: { header: time } }),
        }),
        read: { eventType: 'status' },
      };
    },
    secret: secretFrom('Make one up and enter it as "Secret" of the HMAC signature.'),
    help: [
      'In Grafana, go to Alerting → Contact points → Add contact point → Webhook.',
      'Set URL to {url}.',
      'Under HMAC signature enter the secret and, better, a timestamp header such as X-Grafana-Alerting-Timestamp: set timestampHeader to the same name.',
    ],
  }),
  definePreset({
    name: 'alertmanager',
    title: 'Prometheus Alertmanager',
    docs: 'https://prometheus.io/docs/alerting/latest/configuration/#webhook_config',
    group: 'monitoring',
    settings: { properties: { username: string('The user name of basic_auth. Default alertmanager.') } },
    declare: ({ username }) => ({
      verify: { kind: 'basic', username: textOf(username) ?? 'alertmanager' },
      read: { eventType: 'status' },
    }),
    secret: secretFrom('Make one up and enter it as password of basic_auth.'),
    help: [
      'Add a receiver to alertmanager.yml with webhook_configs: url: {url}.',
      'Under http_config.basic_auth set username to alertmanager (or the setting username) and password to the secret.',
    ],
  }),
];
