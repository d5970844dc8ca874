import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Table } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import { streams } from '#libs/events/src/streams.js';

/** An integration, as far as triggers name it. */
export interface InboundIntegration {
  readonly id: string;
  readonly orgId: string;
  readonly name: string;
  /** The workflow that it belongs to. */
  readonly workflowId: string | undefined;
}

const OF_INTEGRATION = 'integration/';

/** All integrations, for triggers that start by requests to one of them. */
export class InboundIntegrations implements Table {
  readonly name = followers.inboundIntegrations;
  readonly reads = ['integration.created', 'integration.updated', 'integration.deleted'] as const;
  incomplete = false;
  private readonly byId = new Map<string, InboundIntegration>();

  clear(): void {
    this.byId.clear();
  }

  apply(event: RecordedEvent): void {
    if (!event.is(...this.reads)) return;
    const { integrationId: id } = event.data;
    // The stream says who wrote.
    if (event.stream !== streams.integration(id)) return;
    const known = this.byId.get(id);
    const { orgId } = event.metadata;
    if (event.is('integration.created'))
      this.byId.set(id, { id, orgId, name: event.data.name, workflowId: event.data.workflowId });
    else if (event.is('integration.deleted')) this.byId.delete(id);
    else if (known && event.is('integration.updated')) this.byId.set(id, { ...known, name: event.data.name });
  }

  /** The integration that received an event; `undefined` if none did. */
  receiverOf({ stream, metadata }: RecordedEvent): InboundIntegration | undefined {
    if (!streams.isInbound(stream) || !metadata.actor.startsWith(OF_INTEGRATION)) return undefined;
    return this.byId.get(metadata.actor.slice(OF_INTEGRATION.length));
  }
}
