import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { typeMatcher } from '#libs/events/src/patterns.js';
import { streams } from '#libs/events/src/streams.js';

import { recorded, registered, settings } from '../../testing/given.js';
import { WebhookTable } from './webhook.table.js';

const ORGS = ['org_00000000000000000000000001', 'org_00000000000000000000000002'];
const TYPES = [
  'git.push',
  'git.tag_created',
  'pr.opened',
  'webhook.received',
  'webhook.failed',
  'shop.order.paid',
  'x',
];
const PATTERNS = [...TYPES, 'git.*', '*', '*.*', '*.opened', 'webhook.*', 'shop.*.paid', 'none.*'];

const events = fc.array(fc.constantFrom(...PATTERNS), { minLength: 1, maxLength: 4 });
const which = fc.nat({ max: 5 });
const step = fc.oneof(
  fc.record({ kind: fc.constant('register' as const), events, org: fc.constantFrom(...ORGS), disabled: fc.boolean() }),
  fc.record({ kind: fc.constant('update' as const), which, events }),
  fc.record({
    kind: fc.constantFrom('enable' as const, 'disable' as const, 'delete' as const, 'test' as const),
    which,
  }),
);

interface Model {
  readonly id: string;
  readonly orgId: string;
  events: readonly string[];
  active: boolean;
}

describe('the table of webhooks', () => {
  test('finds for every type and organisation what a loop over all webhooks finds, whatever happened to them', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const table = new WebhookTable();
        const models: Model[] = [];
        for (const step of steps) {
          if (step.kind === 'register') {
            const { webhookId, event } = registered({ events: step.events }, step.disabled ? { disabled: true } : {});
            const stream = streams.webhook(webhookId);
            table.apply(recorded('webhook.registered', event.data, { stream, orgId: step.org }));
            models.push({ id: webhookId, orgId: step.org, events: step.events, active: !step.disabled });
            continue;
          }
          const model = models[step.which];
          if (!model) continue;
          const { id: webhookId, orgId } = model;
          const given = { stream: streams.webhook(webhookId), orgId };
          if (step.kind === 'update') {
            table.apply(recorded('webhook.updated', { webhookId, settings: settings({ events: step.events }) }, given));
            model.events = step.events;
          } else if (step.kind === 'enable') {
            table.apply(recorded('webhook.enabled', { webhookId }, given));
            model.active = true;
          } else if (step.kind === 'disable') {
            table.apply(recorded('webhook.disabled', { webhookId, reason: 'manual', detail: 'by hand' }, given));
            model.active = false;
          } else if (step.kind === 'test')
            table.apply(recorded('webhook.test', { webhookId, message: 'hello' }, given));
          else {
            table.apply(recorded('webhook.deleted', { webhookId }, given));
            models.splice(step.which, 1);
          }
        }
        for (const type of TYPES) {
          const subscribed = models.filter((one) => one.active && typeMatcher(one.events)(type));
          expect(table.isSubscribed(type)).toBe(subscribed.length > 0);
          for (const orgId of ORGS)
            expect(table.subscribedTo(type, orgId).map(({ id }) => id)).toEqual(
              subscribed.filter((one) => one.orgId === orgId).map(({ id }) => id),
            );
        }
      }),
    );
  });

  test('forgets everything when it is cleared', () => {
    const table = new WebhookTable();
    table.apply(registered({ events: ['*', 'git.push'] }, { orgId: ORGS[0]! }).event);
    expect(table.subscribedTo('git.push', ORGS[0]!)).toHaveLength(1);
    table.clear();
    expect(table.isSubscribed('git.push')).toBe(false);
    expect(table.subscribedTo('git.push', ORGS[0]!)).toEqual([]);
  });
});
