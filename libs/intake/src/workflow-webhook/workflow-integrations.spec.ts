import { beforeEach, describe, expect, it } from '@jest/globals';

import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { fold } from '#libs/event-store/src/command-handlers.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { readWhole } from '#libs/event-store/src/reading.js';
import { streams } from '#libs/events/src/streams.js';
import { FixedClock } from '#libs/kernel/src/clock.js';
import { uuid7 } from '#libs/kernel/src/ids.js';

import { MemorySecrets } from '../../../access/testing/memory-secrets.js';
import { DeleteIntegration, integration, remove } from '../integration/integration.js';
import { MakeWorkflowIntegrations } from './workflow-integrations.subscriber.js';

const clock = new FixedClock('2026-11-20T09:00:00Z');
let store: MemoryEventStore;
let secrets: MemorySecrets;
let subscriber: MakeWorkflowIntegrations;
beforeEach(() => {
  store = new MemoryEventStore();
  secrets = new MemorySecrets();
  subscriber = new MakeWorkflowIntegrations(store, clock, secrets);
});

async function happened(type: string, more: object = {}, stream = streams.workflow('wf_1')) {
  const data = { workflowId: 'wf_1', name: 'shop', ...more };
  const event = newEvent(
    { type, data },
    { id: uuid7(), orgId: 'org_1', actor: 'token/t', now: clock.now(), subject: '' },
  );
  await store.append(stream, [event], 'any');
  const [recorded] = await store.readStream(stream, { direction: 'backwards', limit: 1 });
  return recorded!;
}
const activated = (webhooks?: readonly object[]) =>
  happened('workflow.activated', { version: 'v', origin: 'api', ...(webhooks && { webhooks }) });
async function made() {
  const { events } = await store.readAll({ limit: 100, filter: { streamPrefixes: [streams.integration('')] } });
  return events;
}
async function only() {
  const [first] = await made();
  const { integrationId } = first!.data as { integrationId: string };
  return { integrationId, state: fold(integration, await readWhole(store, streams.integration(integrationId))) };
}

describe('the integration of a workflow', () => {
  it('is made once, with an address and a secret that nobody can guess, and keeps them over versions and tries', async () => {
    const first = await activated([{}]);
    await subscriber.handle([first]);
    // As after a crash, also in another process.
    await new MakeWorkflowIntegrations(store, clock, secrets).handle([first]);
    await subscriber.handle([await activated([{ respond: 'wait' }])]);
    expect((await made()).map(({ type }) => type)).toEqual(['integration.created']);
    const { integrationId, state } = await only();
    expect(state).toMatchObject({
      kind: 'active',
      provider: 'generic_webhook',
      workflowId: 'wf_1',
      slug: expect.stringMatching(/^wh_[\w-]{32}$/),
      secret: `${integrationId}/secret/1`,
      settings: { name: 'shop', config: {} },
    });
    expect(secrets.kept.get(`${integrationId}/secret/1`)).toHaveLength(32);
  });

  it('has another address in an installation with other secrets', async () => {
    const event = await activated([{}]);
    await subscriber.handle([event]);
    await new MakeWorkflowIntegrations(store, clock, new MemorySecrets()).handle([event]);
    expect(new Set((await made()).map(({ stream }) => stream)).size).toBe(2);
  });

  it('is disabled with the workflow, and enabled again with the same address', async () => {
    await subscriber.handle([await activated([{}])]);
    const { state: before } = await only();
    await subscriber.handle([await happened('workflow.archived', { reason: 'x' })]);
    expect((await only()).state).toMatchObject({ kind: 'disabled' });
    await subscriber.handle([await activated([{}])]);
    expect((await only()).state).toEqual(before);
    await subscriber.handle([await activated([{ integration: 'other' }])]);
    expect((await only()).state).toMatchObject({ kind: 'disabled' });
  });

  it('is none for workflows without a webhook trigger of their own, nor for what others wrote', async () => {
    const forged = await happened('workflow.activated', { webhooks: [{}] }, 'published-1');
    await subscriber.handle([await activated(), await activated([{ integration: 'orders' }]), forged]);
    await subscriber.handle([await happened('workflow.archived', { reason: 'x' })]);
    expect(await made()).toEqual([]);
  });

  it('cannot be deleted by itself', async () => {
    await subscriber.handle([await activated([{}])]);
    const { integrationId, state } = await only();
    expect(() => remove(state, new DeleteIntegration(integrationId, { orgId: 'org_1', actor: 'token/t' }))).toThrow(
      expect.objectContaining({ code: 'integration.of_workflow' }),
    );
  });
});
