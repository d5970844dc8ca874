import { describe, expect, it } from '@jest/globals';

import { NamedSecretTable } from '#libs/access/src/named-secrets/named-secret.table.js';
import { OwnTypeTable } from '#libs/event-types/src/own-type.table.js';
import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { catalogue, type EventType } from '#libs/events/src/catalogue.js';
import { streams } from '#libs/events/src/streams.js';
import { uuid7 } from '#libs/kernel/src/ids.js';
import { Plugins } from '#libs/plugin-sdk/src/loading/plugins.js';
import { builtInProviders } from '#libs/providers/src/built-in.js';

import { VocabularyTable } from './vocabulary.table.js';

/** The stream of the thing that the data names. */
const streamOf = (data: object): string => {
  const ids = data as Readonly<Record<string, string>>;
  const kinds = ['agent', 'integration', 'webhook', 'workflow'] as const;
  const kind = kinds.find((one) => ids[`${one}Id`] !== undefined)!;
  return streams[kind](ids[`${kind}Id`]!);
};

describe('the vocabulary of an organisation', () => {
  const store = new MemoryEventStore(() => new Date());
  const table = new VocabularyTable(new NamedSecretTable(), new OwnTypeTable(), new Plugins([builtInProviders]));

  /** Appends the example of a type with other data, and lets the table read it. */
  async function happens(type: EventType, data: object, orgId = 'org_1', stream = streamOf(data)): Promise<void> {
    const whole = { ...catalogue[type].example, ...data };
    const event = newEvent({ type, data: whole }, { id: uuid7(), orgId, actor: 'x', now: new Date() });
    await store.append(stream, [event], 'any');
    const { events } = await store.readAll({ limit: 1_000 });
    table.apply(events.at(-1)!);
  }

  it('follows what is created, renamed and removed, and shows nobody what others have', async () => {
    const settings = { ...catalogue['agent.registered'].example.settings, name: 'triage' };
    await happens('agent.registered', { agentId: 'agt_1', settings });
    await happens('agent.registered', { agentId: 'agt_2', settings: { ...settings, name: 'theirs' } }, 'org_2');
    await happens('integration.created', { integrationId: 'int_1', provider: 'github', name: 'acme/app' });
    await happens('integration.created', { integrationId: 'int_2', provider: 'slack', name: 'chat' });
    await happens('webhook.registered', { webhookId: 'whk_1' });
    await happens('workflow.activated', { workflowId: 'wf_1', name: 'deploy' });
    const names = () => {
      const { agents, integrations, webhooks, workflows } = table.of('org_1');
      return [agents, integrations, webhooks, workflows].map((things) => things.map(({ id, name }) => id ?? name));
    };
    expect(names()).toEqual([['agt_1'], ['int_1', 'int_2'], ['whk_1'], ['deploy']]);
    expect(table.of('org_1').integrations).toMatchObject([
      { name: 'acme/app', tracks: true, sends: false },
      { name: 'chat', tracks: false, sends: true },
    ]);
    expect(table.of('org_2').agents).toMatchObject([{ name: 'theirs' }]);

    // Written by somebody else.
    await happens('agent.registered', { agentId: 'agt_3', settings }, 'org_1', streams.agent('agt_1'));
    await happens('integration.deleted', { integrationId: 'int_1' }, 'org_1', streams.webhook('whk_1'));
    await happens('webhook.registered', { webhookId: 'whk_2' }, 'org_1', streams.webhook('whk_1'));
    await happens('workflow.archived', { workflowId: 'wf_1', name: 'deploy' }, 'org_1', streams.workflow('wf_2'));
    expect(names()).toEqual([['agt_1'], ['int_1', 'int_2'], ['whk_1'], ['deploy']]);

    await happens('integration.updated', { integrationId: 'int_1', name: 'acme/api' });
    expect(table.of('org_1').integrations).toContainEqual(expect.objectContaining({ name: 'acme/api', tracks: true }));

    await happens('agent.removed', { agentId: 'agt_1' });
    await happens('integration.deleted', { integrationId: 'int_1' });
    await happens('webhook.deleted', { webhookId: 'whk_1' });
    await happens('workflow.archived', { workflowId: 'wf_1' });
    expect(names()).toEqual([[], ['int_2'], [], []]);
    table.clear();
    expect(table.of('org_2').agents).toEqual([]);
  });
});
