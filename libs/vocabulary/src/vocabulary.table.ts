import type { NamedSecretTable } from '#libs/access/src/named-secrets/named-secret.table.js';
import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Table } from '#libs/event-store/src/subscriber.js';
import type { OwnTypeTable } from '#libs/event-types/src/own-type.table.js';
import { followers } from '#libs/events/src/followers.js';
import { streams } from '#libs/events/src/streams.js';
import type { Plugins } from '#libs/plugin-sdk/src/loading/plugins.js';

import type { Named, OrganisationVocabulary } from './vocabulary.js';

interface Known extends Named {
  readonly orgId: string;
  readonly kind: 'agents' | 'integrations' | 'webhooks' | 'workflows';
}

/** Names of what each organisation has, in memory: a check reads no database. The stream of an event says who wrote it. */
export class VocabularyTable implements Table {
  readonly name = followers.vocabulary;
  readonly reads = [
    'agent.registered',
    'agent.updated',
    'agent.removed',
    'integration.created',
    'integration.updated',
    'integration.deleted',
    'webhook.registered',
    'webhook.updated',
    'webhook.deleted',
    'workflow.activated',
    'workflow.archived',
  ] as const;
  private readonly known = new Map<string, Known>();

  constructor(
    private readonly secrets: NamedSecretTable,
    private readonly ownTypes: OwnTypeTable,
    private readonly plugins: Plugins,
  ) {}

  clear(): void {
    this.known.clear();
  }

  apply(event: RecordedEvent): void {
    if (event.is('agent.registered', 'agent.updated', 'agent.removed')) this.applyAgent(event);
    else if (event.is('integration.created', 'integration.updated', 'integration.deleted'))
      this.applyIntegration(event);
    else if (event.is('webhook.registered', 'webhook.updated', 'webhook.deleted')) this.applyWebhook(event);
    else if (event.is('workflow.activated', 'workflow.archived')) this.applyWorkflow(event);
  }

  private applyAgent(event: RecordedEvent<'agent.registered' | 'agent.updated' | 'agent.removed'>): void {
    const { agentId: id } = event.data;
    if (event.stream !== streams.agent(id)) return;
    if (event.is('agent.removed')) this.known.delete(id);
    else if (event.is('agent.registered', 'agent.updated'))
      this.put(event, { kind: 'agents', id, name: event.data.settings.name });
  }

  private applyIntegration(
    event: RecordedEvent<'integration.created' | 'integration.updated' | 'integration.deleted'>,
  ): void {
    const { integrationId: id } = event.data;
    const before = this.known.get(id);
    if (event.stream !== streams.integration(id)) return;
    if (event.is('integration.created')) {
      const { name, provider } = event.data;
      const { send, tracker } = this.plugins.providers.get(provider) ?? {};
      this.put(event, { kind: 'integrations', id, name, sends: send !== undefined, tracks: tracker !== undefined });
    } else if (event.is('integration.deleted')) this.known.delete(id);
    else if (before && event.is('integration.updated')) this.put(event, { ...before, name: event.data.name });
  }

  private applyWebhook(event: RecordedEvent<'webhook.registered' | 'webhook.updated' | 'webhook.deleted'>): void {
    const { webhookId: id } = event.data;
    if (event.stream !== streams.webhook(id)) return;
    if (event.is('webhook.deleted')) this.known.delete(id);
    else if (event.is('webhook.registered', 'webhook.updated'))
      this.put(event, { kind: 'webhooks', id, name: event.data.settings.url });
  }

  private applyWorkflow(event: RecordedEvent<'workflow.activated' | 'workflow.archived'>): void {
    const { workflowId: id, name } = event.data;
    if (event.stream !== streams.workflow(id)) return;
    if (event.is('workflow.archived')) this.known.delete(id);
    else this.put(event, { kind: 'workflows', name }, id);
  }

  private put({ metadata }: RecordedEvent, one: Omit<Known, 'orgId'>, id = one.id!): void {
    this.known.set(id, { ...one, orgId: metadata.orgId });
  }

  of(orgId: string): OrganisationVocabulary {
    const named = { agents: [], integrations: [], webhooks: [], workflows: [] } as Record<Known['kind'], Named[]>;
    for (const one of this.known.values()) if (one.orgId === orgId) named[one.kind].push(one);
    const own = this.ownTypes
      .list(orgId)
      .map(({ type, kind, content }) => [type, { schema: content.schema, archived: kind === 'archived' }] as const);
    return { ...named, sources: this.plugins.sources, eventTypes: new Map(own), secrets: this.secrets.list(orgId) };
  }
}
