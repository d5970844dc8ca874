import type { PreviousSecret } from '#libs/access/src/secrets/secret-rotation.js';
import type { Secrets } from '#libs/access/src/secrets/secrets.js';
import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Table } from '#libs/event-store/src/subscriber.js';
import { requestedExecutionId } from '#libs/events/src/envelope.js';
import { followers } from '#libs/events/src/followers.js';

import type { Receiver } from '../integration/integration.table.js';
import { agentWebhook } from './agent-webhook.js';
import { Places } from './places.js';

const MINUTE_MS = 60_000;
/** What waits for a person takes no place. */
const FREEING = ['agent.finished', 'agent.failed', 'agent.cancelled', 'agent.approval_requested'] as const;

/** Agents whose webhook is enabled, as what receives: in memory, like integrations. */
export class AgentReceivers implements Table {
  readonly name = followers.agentReceivers;
  readonly reads = [
    'agent.registered',
    'agent.updated',
    'agent.removed',
    'agent.requested',
    'agent.started',
    'agent.approval_decided',
    ...FREEING,
  ] as const;
  incomplete = false;
  private readonly byId = new Map<string, Receiver>();
  /** References of secrets: an update that brings none leaves the one before. */
  private readonly references = new Map<string, readonly [newest: string, ...previous: PreviousSecret[]]>();
  private readonly places = new Map<string, Places>();
  /** The agent of each execution that takes a place. */
  private readonly agentOf = new Map<string, string>();

  constructor(private readonly secrets: Secrets) {}

  clear(): void {
    for (const map of [this.byId, this.references, this.places, this.agentOf]) map.clear();
  }

  async apply(event: RecordedEvent): Promise<void> {
    if (event.is('agent.requested', 'agent.started', 'agent.approval_decided', ...FREEING)) return this.move(event);
    if (event.is('agent.removed')) {
      this.byId.delete(event.data.agentId);
      this.references.delete(event.data.agentId);
      this.places.delete(event.data.agentId);
      return;
    }
    if (!event.is('agent.registered', 'agent.updated')) return;
    const { agentId, settings, secret } = event.data;
    const before = event.is('agent.updated') ? (event.data.previous ?? []) : [];
    const named = secret === undefined ? this.references.get(agentId) : ([secret, ...before] as const);
    const [newest, ...previous] = named ?? [];
    // Before anything changes: if the secrets cannot be read, the event is applied again.
    const references = newest === undefined ? [] : [newest, ...previous.map((one) => one.secret)];
    const plain = await this.secrets.get(references);
    if (named) this.references.set(agentId, named);
    const places = this.placesOf(agentId);
    [places.limit, places.perMinute] = [settings.maxConcurrent, settings.rateLimit];
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
      places,
      secrets: references.slice(0, 1).flatMap((one) => plain.get(one) ?? []),
      previous: previous.flatMap(({ secret: one, validUntil }) => {
        const text = plain.get(one);
        return text === undefined ? [] : [{ secret: text, validUntil: Date.parse(validUntil) }];
      }),
    });
  }

  /** A webhook's execution takes its place from the request on, any other from its start on. */
  private move(event: RecordedEvent): void {
    if (event.is(...FREEING)) {
      const { executionId } = event.data;
      this.places.get(this.agentOf.get(executionId) ?? '')?.free(executionId);
      if (event.type !== 'agent.approval_requested') this.agentOf.delete(executionId);
    } else if (event.is('agent.approval_decided')) {
      const agentId = this.agentOf.get(event.data.executionId);
      if (agentId !== undefined) this.occupy(agentId, event.data.executionId);
    } else if (event.is('agent.started'))
      this.occupy(event.data.agentId, event.data.executionId, event.created.getTime());
    else if (event.is('agent.requested') && event.data.requestedBy.kind === 'webhook')
      this.occupy(event.data.requestedBy.agentId, requestedExecutionId(event), event.created.getTime());
  }

  /** @param began when it did, if it does so now. */
  private occupy(agentId: string, executionId: string, began?: number): void {
    const places = this.places.get(agentId);
    if (!places) return;
    places.occupy(executionId);
    if (began !== undefined) places.began(executionId, began);
    this.agentOf.set(executionId, agentId);
  }

  private placesOf(agentId: string): Places {
    const places = this.places.get(agentId) ?? new Places();
    this.places.set(agentId, places);
    return places;
  }

  withId(id: string): Receiver | undefined {
    return this.byId.get(id);
  }
}
