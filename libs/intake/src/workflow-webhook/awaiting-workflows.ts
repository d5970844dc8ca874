import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Table } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import { streams } from '#libs/events/src/streams.js';

import type { Receiver } from '../integration/integration.table.js';

/** Workflows whose runs answer the requests that start them (`respond: wait`), in memory. */
export class AwaitingWorkflows implements Table {
  readonly name = followers.awaitingWorkflows;
  readonly reads = ['workflow.activated', 'workflow.archived'] as const;
  incomplete = false;
  /** Integrations for which each of them waits: its own, or by name or id. */
  private readonly keys = new Map<string, readonly string[]>();

  clear(): void {
    this.keys.clear();
  }

  apply(event: RecordedEvent): void {
    if (!event.is(...this.reads) || event.stream !== streams.workflow(event.data.workflowId)) return;
    const { workflowId } = event.data;
    const uses = event.is('workflow.activated') ? (event.data.webhooks ?? []) : [];
    const keys = uses.flatMap(({ integration, respond }) => {
      if (respond !== 'wait') return [];
      return integration === undefined ? [ownKey(workflowId)] : [namedKey(event.metadata.orgId, integration)];
    });
    if (keys.length === 0) this.keys.delete(workflowId);
    else this.keys.set(workflowId, keys);
  }

  /** The workflow whose run answers requests to an integration. Of several it is the one that the integration belongs to, else the oldest. */
  workflowFor({ id, orgId, name, workflowId }: Receiver): string | undefined {
    if (this.keys.size === 0) return undefined;
    const wanted = [
      ...(workflowId === undefined ? [] : [ownKey(workflowId)]),
      namedKey(orgId, id),
      namedKey(orgId, name),
    ];
    for (const key of wanted) for (const [known, keys] of this.keys) if (keys.includes(key)) return known;
    return undefined;
  }
}

const ownKey = (workflowId: string): string => `of ${workflowId}`;
const namedKey = (orgId: string, idOrName: string): string => `named ${orgId} ${idOrName}`;
