import { readFileSync } from 'node:fs';

import { describe, expect, it } from '@jest/globals';

import type { StepHttp } from '#libs/plugin-sdk/src/define-step.js';
import { describeProvider, type ProviderUnderTest } from '#libs/plugin-sdk/testing/describe-provider.js';

import { builtInProviders } from './built-in.js';

const folder = (name: string) => new URL(`../fixtures/${name}/`, import.meta.url);
const now = new Date('2026-11-20T13:14:15Z');
const provider = (name: string) => builtInProviders.providers!.find((one) => one.name === name)!;
const types = (...names: string[]) => ({ types: names });

/** The keys of the fixtures, at any address, as the OpenID metadata and what it points to. */
const keyServer: StepHttp = {
  request({ url }) {
    const body = readFileSync(new URL(url.endsWith('/keys') ? 'keys.json' : 'openid.json', folder('botframework')));
    return Promise.resolve({ kind: 'response', status: 200, headers: {}, body, truncated: false, latencyMs: 1 });
  },
};

const underTest: readonly ProviderUnderTest[] = [
  {
    provider: provider('github'),
    fixtures: folder('github'),
    secret: 'github-fixture-secret',
    expected: {
      'push.http': { ...types('git.push'), eventType: 'push', deliveryId: '72d3162e-cc78-11e3-81ab-000000000001' },
      'push-branch-with-slashes.http': types('git.push'),
      'push-branch-deleted.http': types('git.push'),
      'push-tag.http': types('git.tag_pushed'),
      'push-form.http': types('git.push'),
      'pull-request-opened.http': types('pr.opened'),
      'pull-request-updated.http': types('pr.updated'),
      'pull-request-merged.http': types('pr.merged'),
      'pull-request-closed.http': types('pr.closed'),
      'review.http': types('pr.reviewed'),
      'issue-opened.http': types('issue.created'),
      'issue-labeled.http': types('issue.updated'),
      'issue-closed.http': types('issue.status_changed'),
      'comment.http': types('comment.created'),
      'release.http': types('release.published'),
      'workflow-run.http': types('pipeline.finished'),
      'ping.http': types('webhook.received'),
    },
  },
  {
    provider: provider('gitlab'),
    fixtures: folder('gitlab'),
    secret: 'gitlab-fixture-token',
    signsBody: false,
    expected: {
      'push.http': { ...types('git.push'), eventType: 'push', deliveryId: 'f5e2bf2c-3b1a-4d6f-8a3c-000000000001' },
      'push-branch-with-slashes.http': types('git.push'),
      'push-branch-created.http': types('git.push'),
      'push-branch-deleted.http': types('git.push'),
      'tag-push.http': types('git.tag_pushed'),
      'merge-request-opened.http': types('pr.opened'),
      'merge-request-updated.http': types('pr.updated'),
      'merge-request-merged.http': types('pr.merged'),
      'merge-request-closed.http': types('pr.closed'),
      'merge-request-approved.http': types('pr.reviewed'),
      'issue-opened.http': types('issue.created'),
      'issue-updated.http': types('issue.updated'),
      'issue-closed.http': types('issue.status_changed'),
      'note-on-issue.http': types('comment.created'),
      'note-on-merge-request.http': types('comment.created'),
      'note-on-snippet.http': types('webhook.received'),
      'release.http': types('release.published'),
      'pipeline.http': types('pipeline.finished'),
      'pipeline-running.http': types('webhook.received'),
    },
  },
  {
    provider: provider('gitlab'),
    fixtures: folder('gitlab-signed'),
    secret: 'whsec_Z2l0bGFiLWZpeHR1cmUtc2lnbmluZy1zZWNyZXQ=',
    wrongSecret: 'whsec_YW5vdGhlci1maXh0dXJlLXNpZ25pbmctc2VjcmV0',
    now,
    signsTime: true,
    expected: { 'push.http': types('git.push') },
  },
  {
    provider: provider('slack'),
    fixtures: folder('slack'),
    secret: 'slack-fixture-signing-secret',
    now,
    signsTime: true,
    expected: {
      'message.http': { ...types('message.received'), eventType: 'message', deliveryId: 'Ev0001', answer: 200 },
      'message-in-thread.http': { ...types('message.received'), answer: 200 },
      'message-edited.http': { ...types('message.received'), answer: 200 },
      'message-of-bot.http': { ...types('message.received'), answer: 200 },
      'message-with-file.http': { ...types('message.received'), answer: 200 },
      'message-retried.http': { ...types('message.received'), answer: 200 },
      'message-deleted.http': { ...types('webhook.received'), answer: 200 },
      'app-mention.http': { ...types('message.received'), eventType: 'app_mention', answer: 200 },
      'reaction.http': { ...types('webhook.received'), eventType: 'reaction_added', answer: 200 },
      'url-verification.http': { ...types(), answer: 200 },
      'ssl-check.http': { ...types(), answer: 200 },
      'slash-command.http': {
        ...types('command.invoked'),
        deliveryId: '13345224609.738474920.8088930838d88f008e0',
        answer: 200,
      },
      'block-actions.http': { ...types('interaction.received'), eventType: 'block_actions', answer: 200 },
      'view-submission.http': { ...types('interaction.received'), eventType: 'view_submission', answer: 200 },
      'shortcut.http': { ...types('interaction.received'), eventType: 'shortcut', answer: 200 },
    },
  },
  {
    provider: provider('botframework'),
    fixtures: folder('botframework'),
    secret: 'unused',
    config: { appId: '00000000-0000-0000-0000-00000000b07a' },
    now,
    http: keyServer,
    signsBody: false,
    proof: ['authorization'],
    withoutSecret: 'refused',
    expected: {
      'message.http': {
        ...types('message.received'),
        deliveryId: 'msteams 19:253b1f341670408fb6fe51050b6e5ceb@thread.skype;messageid=1485983194839 1795180454900',
        answer: 202,
      },
      'message-updated.http': { ...types('message.received'), answer: 202 },
      'conversation-update.http': { ...types('webhook.received'), answer: 202 },
      'invoke.http': { ...types('webhook.received'), answer: 200 },
    },
  },
  {
    provider: provider('standard_webhooks'),
    fixtures: folder('standard_webhooks'),
    secret: 'whsec_c3RhbmRhcmQtd2ViaG9va3MtZml4dHVyZS1rZXk=',
    wrongSecret: 'whsec_YW5vdGhlci1zdGFuZGFyZC13ZWJob29rcy1rZXk=',
    now,
    signsTime: true,
    expected: {
      'unknown-type.http': { ...types('webhook.received'), eventType: 'invoice.paid', deliveryId: 'msg_2Lml1' },
      'known-type.http': types('message.received'),
    },
  },
  {
    provider: provider('cloudevents'),
    fixtures: folder('cloudevents'),
    secret: 'cloudevents-fixture-secret',
    expected: {
      'structured.http': {
        ...types('webhook.received'),
        eventType: 'com.acme.order.shipped',
        deliveryId: '/acme/orders A-1',
      },
      'structured-known-type.http': types('message.received'),
      'binary.http': { ...types('webhook.received'), deliveryId: '/acme/orders A-3' },
      'binary-without-data.http': { ...types('webhook.received'), deliveryId: '/acme/orders A-6' },
      'batch.http': types('webhook.received', 'message.received'),
    },
  },
  {
    provider: provider('generic_webhook'),
    fixtures: folder('generic_webhook'),
    secret: 'generic-fixture-secret',
    expected: {
      'alert.http': { ...types('webhook.received'), eventType: 'alert.fired', deliveryId: 'alert-1' },
      'form.http': { ...types('webhook.received'), eventType: 'backup.finished' },
      'lines.http': types('webhook.received', 'webhook.received'),
      'no-id.http': { ...types('webhook.received'), eventType: 'ping' },
    },
  },
  {
    provider: provider('generic_webhook'),
    fixtures: folder('generic_webhook-bearer'),
    secret: 'generic-fixture-token',
    config: { bearer: true },
    signsBody: false,
    expected: { 'alert.http': types('webhook.received') },
  },
];

for (const one of underTest) describeProvider(one);

describe('the built-in providers', () => {
  it('are all tested with saved requests, but for the one that receives nothing', () => {
    const tested = new Set(underTest.map((one) => one.provider.name));
    const left = builtInProviders.providers!.filter(({ name }) => !tested.has(name)).map(({ name }) => name);
    expect(left).toEqual(['mcp_server']);
  });
});
