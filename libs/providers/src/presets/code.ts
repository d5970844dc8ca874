import { definePreset, type Preset } from '#libs/plugin-sdk/src/scheme/define-preset.js';
import { textOf } from '#libs/plugin-sdk/src/fields.js';

import { bitbucketEvent } from './neutral/bitbucket.js';
import { bitbucketServerEvent } from './neutral/bitbucket-server.js';
import { giteaEvent } from './neutral/gitea.js';
import { always, hmac, secretFrom, string } from './preset-parts.js';

const forge = (name: 'gitea' | 'forgejo', title: string, docs: string): Preset =>
  definePreset({
    name,
    title,
    docs,
    group: 'code',
    declare: always({
      verify: hmac(`X-${title}-Signature`),
      read: { eventType: `header:X-${title}-Event`, deliveryId: `header:X-${title}-Delivery` },
    }),
    neutral: giteaEvent,
    secret: secretFrom('Make one up and enter it as "Secret" of the webhook.'),
    help: [
      `In ${title}, open the repository or organisation and go to Settings → Webhooks → Add webhook → ${title}.`,
      'Set Target URL to {url}, HTTP method to POST and Content type to application/json.',
      'Enter the secret, choose the events and save.',
    ],
  });

/** Hosts of code, and what builds it. */
export const codePresets: readonly Preset[] = [
  forge('gitea', 'Gitea', 'https://docs.gitea.com/usage/webhooks'),
  forge('forgejo', 'Forgejo', 'https://forgejo.org/docs/latest/user/webhooks/'),
  definePreset({
    name: 'bitbucket',
    title: 'Bitbucket Cloud',
    docs: 'https://support.atlassian.com/bitbucket-cloud/docs/manage-webhooks/',
    group: 'code',
    declare: always({
      verify: hmac('X-Hub-Signature', { prefix: 'sha256=' }),
      read: { eventType: 'header:X-Event-Key', deliveryId: 'header:X-Request-UUID' },
      retries: { header: 'X-Attempt-Number', beyond: 1 },
    }),
    neutral: bitbucketEvent,
    secret: secretFrom('Choose "Generate secret" in the form of the webhook, or enter your own.'),
    help: [
      'In the repository, go to Repository settings → Webhooks → Add webhook.',
      'Set URL to {url} and enter the secret.',
      'Choose the triggers and save.',
    ],
  }),
  definePreset({
    name: 'bitbucket-server',
    title: 'Bitbucket Data Center',
    docs: 'https://confluence.atlassian.com/bitbucketserver/manage-webhooks-938025878.html',
    group: 'code',
    declare: always({
      verify: hmac('X-Hub-Signature', { prefix: 'sha256=' }),
      read: { eventType: 'header:X-Event-Key', deliveryId: 'header:X-Request-Id' },
    }),
    neutral: bitbucketServerEvent,
    secret: secretFrom('Make one up and enter it as "Secret" of the webhook.'),
    help: [
      'In the repository, go to Repository settings → Webhooks → Create webhook.',
      'Set URL to {url} and enter the secret.',
      'Choose the events and save.',
    ],
  }),
  definePreset({
    name: 'azure-devops',
    title: 'Azure DevOps',
    docs: 'https://learn.microsoft.com/azure/devops/service-hooks/services/webhooks',
    group: 'code',
    settings: { properties: { username: string('The user name that is entered in Azure DevOps.') } },
    declare: ({ username }) => ({
      verify: { kind: 'basic', username: textOf(username) ?? 'millrace' },
      read: { eventType: 'eventType', deliveryId: 'id', occurredAt: 'createdDate' },
    }),
    secret: secretFrom('Make one up and enter it as "Basic authentication password".'),
    help: [
      'In the project, go to Project settings → Service hooks → Create subscription → Web Hooks.',
      'Choose the event, then set URL to {url}.',
      'Set "Basic authentication username" to the value of the setting username (default millrace), and the password to the secret.',
    ],
  }),
  definePreset({
    name: 'circleci',
    title: 'CircleCI',
    docs: 'https://circleci.com/docs/webhooks/',
    group: 'code',
    declare: always({
      verify: hmac('circleci-signature', { list: { signature: 'v1' } }),
      read: { eventType: 'type', deliveryId: 'id', occurredAt: 'happened_at' },
    }),
    secret: secretFrom('Make one up and enter it as "Secret token".'),
    help: [
      'In CircleCI, open the project and go to Project Settings → Webhooks → Add Webhook.',
      'Set Receiver URL to {url} and enter the secret token.',
      'Choose the events and save.',
    ],
  }),
  definePreset({
    name: 'buildkite',
    title: 'Buildkite',
    docs: 'https://buildkite.com/docs/apis/webhooks',
    group: 'code',
    timed: true,
    declare: always({
      verify: hmac('X-Buildkite-Signature', {
        list: { signature: 'signature', timestamp: 'timestamp' },
        signed: '{timestamp}.{body}',
      }),
      read: { eventType: 'header:X-Buildkite-Event', deliveryId: 'hash:body' },
    }),
    secret: secretFrom('Shown as "Token" of the notification service; switch it to "Send an HMAC signature".'),
    help: [
      'In Buildkite, go to Organization Settings → Notification Services → Add → Webhook.',
      'Set Webhook URL to {url}.',
      'Choose "Send an HMAC signature in the X-Buildkite-Signature header", copy the token as the secret, and save.',
    ],
  }),
  definePreset({
    name: 'terraform-cloud',
    title: 'HCP Terraform',
    docs: 'https://developer.hashicorp.com/terraform/cloud-docs/api-docs/notification-configurations',
    group: 'code',
    declare: always({
      verify: hmac('X-TFE-Notification-Signature', { algorithm: 'sha512' }),
      read: { eventType: 'notifications[0].trigger', deliveryId: 'hash:body' },
    }),
    secret: secretFrom('Make one up and enter it as "Token".'),
    help: [
      'In the workspace, go to Settings → Notifications → Create a notification → Webhook.',
      'Set Webhook URL to {url} and Token to the secret.',
      'HCP Terraform checks the address when you save: create the integration first.',
    ],
  }),
  definePreset({
    name: 'npm',
    title: 'npm hooks (ended in July 2024)',
    docs: 'https://github.com/npm/registry/blob/main/docs/hooks/hooks-payload.md',
    group: 'code',
    declare: always({
      verify: hmac('x-npm-signature', { prefix: 'sha256=' }),
      read: { eventType: 'event', deliveryId: 'hash:body' },
    }),
    secret: secretFrom('The secret that the hook was made with.'),
    help: [
      'npm ended its hooks in July 2024. Use this preset for registries that send the same.',
      'Set the endpoint to {url}.',
    ],
  }),
  definePreset({
    name: 'docker-hub',
    title: 'Docker Hub',
    docs: 'https://docs.docker.com/docker-hub/repos/manage/webhooks/',
    group: 'code',
    declare: always({
      verify: { kind: 'query', parameter: 'token' },
      read: { eventType: "'push'" },
    }),
    secret: secretFrom('Make one up of letters and digits: it is part of the address. Docker Hub does not sign.'),
    help: [
      'In the repository on Docker Hub, open the tab Webhooks.',
      'Enter a name and the address {url}?token= followed by the secret.',
    ],
  }),
];
