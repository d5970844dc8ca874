import type { NamedSecretTable } from '#libs/access/src/named-secrets/named-secret.table.js';
import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Table } from '#libs/event-store/src/subscriber.js';
import type { OwnTypeTable } from '#libs/event-types/src/own-type.table.js';
import { followers } from '#libs/events/src/followers.js';
import type { Plugins } from '#libs/plugin-sdk/src/loading/plugins.js';

import type { Named, OrganisationVocabulary } from './vocabulary.js';

interface Known extends Named {
  readonly orgId: string;
  readonly kind: 'agents' | 'integrations' | 'webhooks' | 'workflows';
}

/** Names of what each organisation has, in memory: a check reads no database. */
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
    const { orgId } = event.metadata;
    if (event.is('agent.registered', 'agent.updated')) {
      const { agentId: id, settings } = event.data;
      this.known.set(id, { kind: 'agents', orgId, id, name: settings.name });
    } else if (event.is('integration.created')) {
      const { integrationId: id, name, provider } = event.data;
      const { send, tracker } = this.plugins.providers.get(provider) ?? {};
      const can = { sends: send !== undefined, tracks: tracker !== undefined };
      this.known.set(id, { kind: 'integrations', orgId, id, name, ...can });
    } else if (event.is('integration.updated')) {
      const { integrationId: id, name } = event.data;
      const before = this.known.get(id);
      if (before) this.known.set(id, { ...before, name });
    } else if (event.is('webhook.registered', 'webhook.updated')) {
      const { webhookId: id, settings } = event.data;
      this.known.set(id, { kind: 'webhooks', orgId, id, name: settings.url });
    } else if (event.is('workflow.activated')) {
      const { workflowId, name } = event.data;
      this.known.set(workflowId, { kind: 'workflows', orgId, name });
    } else if (event.is('agent.removed')) this.known.delete(event.data.agentId);
    else if (event.is('integration.deleted')) this.known.delete(event.data.integrationId);
    else if (event.is('webhook.deleted')) this.known.delete(event.data.webhookId);
    else if (event.is('workflow.archived')) this.known.delete(event.data.workflowId);
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
