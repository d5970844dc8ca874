import { readFileSync } from 'node:fs';

import { describe, expect, it } from '@jest/globals';

import { bodyOf } from '#libs/deliveries/src/webhook/format.js';
import { warningsOf as webhookWarnings, webhookCheck } from '#libs/deliveries/src/webhook/webhook-check.js';
import { catalogue } from '#libs/events/src/catalogue.js';
import { checkBody } from '#libs/events/src/shapes/check-body.js';
import { NewWebhook, webhookFields, WebhookFormat, WebhookAnswer } from '#libs/events/src/shapes/webhook-shape.js';
import { checkRule } from '#libs/rules/src/language/definition.js';
import { warningsOf } from '#libs/rules/src/language/warnings.js';
import { tryOut } from '#libs/rules/src/trial/trial.js';

import { recorded } from '../../libs/deliveries/testing/given.js';

const page = readFileSync(new URL('../../docs/webhooks-outbound.md', import.meta.url), 'utf8');

/** The first cells of the table below these words of its head, without their code marks. */
function rowsOf(head: string): readonly string[] {
  const table = new RegExp(`^\\| ${head} +\\|.*\\n\\|[ |-]+\\n((?:\\|.*\\n)+)`, 'm').exec(page)![1]!;
  return table
    .trim()
    .split('\n')
    .map((row) => /^\| `(.+?)` /.exec(row)![1]!);
}
const blocks = [...page.matchAll(/^```(?:json)?\n(.*?)^```$/gms)].map(([, text]) => text!);
const jsonIn = (text: string): Record<string, unknown> | undefined => {
  const at = text.indexOf('{');
  try {
    return JSON.parse(text.slice(at)) as Record<string, unknown>;
  } catch {
    return undefined;
  }
};
const examples = blocks.map(jsonIn).filter((one) => one !== undefined);

describe('docs/webhooks-outbound.md', () => {
  it('lists every field of a webhook', () => {
    expect(rowsOf('field').toSorted()).toEqual(Object.keys(webhookFields).toSorted());
  });

  it('lists the formats, with what their bodies have', () => {
    const formats = WebhookFormat.anyOf.map((one) => one.const);
    expect(rowsOf('format')).toEqual(formats);
    for (const format of ['platform', 'compact', 'standard'] as const) {
      const body = JSON.parse(bodyOf(recorded('git.push', { branch: 'main' } as never), format).text) as object;
      const row = page.split('\n').find((line) => line.startsWith(`| \`${format}\` `))!;
      expect(row).toContain(Object.keys(body).join(', '));
    }
  });

  it('lists every class of failure', () => {
    const { failureClass } = catalogue['webhook.failed'].data.properties;
    const classes = (failureClass.anyOf as readonly { const: string }[]).map((one) => one.const);
    expect(rowsOf('class').toSorted()).toEqual(classes.toSorted());
  });

  it('explains the health of a webhook', () => {
    const { health } = WebhookAnswer.properties;
    const named = rowsOf('`health`');
    expect(Object.keys(health.properties).filter((key) => !named.includes(key))).toEqual(['lastFailure']);
    for (const { const: state } of health.properties.state.anyOf as readonly { const: string }[])
      expect(page).toContain(`\`${state}\``);
  });

  it('has examples of webhooks that can be created without a warning', () => {
    const given = examples.filter((one) => 'url' in one || 'rateLimit' in one);
    expect(given).toHaveLength(2);
    for (const example of given) {
      const body = { url: 'https://example.com/hook', events: ['issue.created'], ...example };
      const webhook = checkBody(NewWebhook, body, { prefix: 'webhook', check: webhookCheck(() => undefined) });
      expect(webhookWarnings(webhook as never)).toEqual([]);
    }
  });

  it('has an example of a rule that matches an exhausted delivery', () => {
    const [rule] = examples.filter((one) => 'actions' in one);
    const { definition, compiled } = checkRule(rule);
    expect(warningsOf(definition, compiled)).toEqual([]);
    const event = { id: 'evt_1', type: 'webhook.exhausted', source: 'millrace', subject: '', orgId: 'org_1' };
    const { example } = catalogue['webhook.exhausted'];
    const trial = tryOut(checkRule(rule), { ...event, timestamp: '2026-11-20T12:00:00Z', data: example });
    expect(trial).toMatchObject({ outcome: 'matched' });
  });
});
