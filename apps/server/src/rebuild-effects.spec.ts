import { expect, it } from '@jest/globals';

import type { Secrets } from '#libs/access/src/secrets/secrets.js';
import { AgentProjection } from '#libs/agents/src/agent/agent.projection.js';
import { WebhookProjection } from '#libs/deliveries/src/webhook/webhook.projection.js';
import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import type { Projection, SubscriberContext, ViewTransaction } from '#libs/event-store/src/subscriber.js';
import { catalogue, type EventType } from '#libs/events/src/catalogue.js';
import { streams } from '#libs/events/src/streams.js';
import { IntegrationProjection } from '#libs/intake/src/integration/integration.projection.js';
import type { Integration } from '#libs/intake/src/integration/integration.js';
import { uuid7 } from '#libs/kernel/src/ids.js';

const removed: string[] = [];
const secrets = {
  remove: (gone: readonly string[]) => {
    removed.push(...gone);
    return Promise.resolve();
  },
} as unknown as Secrets;
const state: Integration = {
  ...{ kind: 'active', orgId: 'org_1', provider: 'github', slug: 's', secret: 'ref/1', previous: [] },
  settings: { name: 'x', config: {} },
};
/** As if the row were there with a secret. */
const tx: ViewTransaction = {
  query: <R>() => Promise.resolve([{ secrets: ['ref/1'], state, revision: '-1' }] as R),
  write: () => undefined,
  onEnd: () => undefined,
  endure: () => undefined,
};
const context: SubscriberContext = { transaction: () => Promise.resolve(tx), signal: new AbortController().signal };
const store = new MemoryEventStore();

it.each<readonly [string, Projection, string, EventType, object, ...(readonly [EventType, object])[]]>([
  ['outbound webhooks', new WebhookProjection(secrets), streams.webhook('a'), 'webhook.deleted', { webhookId: 'a' }],
  [
    'integrations',
    new IntegrationProjection(secrets),
    streams.integration('a'),
    'integration.deleted',
    { integrationId: 'a' },
  ],
  [
    ...(['agents', new AgentProjection(store, secrets), streams.agent('a')] as const),
    'agent.removed',
    { agentId: 'a' },
    ['agent.registered', { agentId: 'a', secret: 'ref/1' }],
  ],
])(
  'the projection of %s removes secrets that nothing names any more, and none in a rebuild',
  async (_, projection, stream, type, data, ...before) => {
    for (const [of, more] of [...before, [type, data] as const]) {
      const about = { type: of, data: { ...catalogue[of].example, ...more } };
      const event = newEvent(about, { id: uuid7(), orgId: 'org_1', actor: 'x', now: new Date() });
      await store.append(stream, [event], 'any');
    }
    const last = await store.readStream(stream, { direction: 'backwards', limit: 1 });
    removed.length = 0;
    await projection.handle(last, { ...context, isRebuild: true });
    expect(removed).toEqual([]);
    await projection.handle(last, context);
    expect(removed).toEqual(['ref/1']);
  },
);
