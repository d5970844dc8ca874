import type { Secrets } from '#libs/access/src/secrets/secrets.js';
import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Table } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';

import type { Receiver } from '../integration/integration.table.js';
import { agentWebhook } from './agent-webhook.js';

const MINUTE_MS = 60_000;

/** Agents whose webhook is enabled, as what receives: in memory, like integrations. */
export class AgentReceivers implements Table {
  readonly name = followers.agentReceivers;
  readonly reads = ['agent.registered', 'agent.updated', 'agent.removed'] as const;
  incomplete = false;
  private readonly byId = new Map<string, Receiver>();
  /** References of secrets: an update that brings none leaves the one before. */
  private readonly references = new Map<string, string>();

  constructor(private readonly secrets: Secrets) {}

  clear(): void {
    this.byId.clear();
    this.references.clear();
  }

  async apply(event: RecordedEvent): Promise<void> {
    if (event.is('agent.removed')) {
      this.byId.delete(event.data.agentId);
      this.references.delete(event.data.agentId);
      return;
    }
    if (!event.is('agent.registered', 'agent.updated')) return;
    const { agentId, settings, secret } = event.data;
    const reference = secret ?? this.references.get(agentId);
    // Before anything changes: if the secret cannot be read, the event is applied again.
    const plain = reference === undefined ? undefined : (await this.secrets.get([reference])).get(reference);
    if (reference !== undefined) this.references.set(agentId, reference);
    if (!settings.webhookEnabled) {
      this.byId.delete(agentId);
      return;
    }
    this.byId.set(agentId, {
      id: agentId,
      orgId: event.metadata.orgId,
      provider: agentWebhook.name,
      preset: undefined,
      understoodBy: agentWebhook.name,
      inHandshake: false,
      slug: agentId,
      name: settings.name,
      customPath: undefined,
      allowed: undefined,
      rateLimit: { limit: settings.rateLimit, perMs: MINUTE_MS },
      dedupeKey: undefined,
      config: { agentId, auth: settings.auth },
      secrets: plain === undefined ? [] : [plain],
      previous: [],
    });
  }

  withId(id: string): Receiver | undefined {
    return this.byId.get(id);
  }
}
