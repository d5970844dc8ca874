import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import { requestedExecutionId } from '#libs/events/src/envelope.js';
import type { ExecutionTrigger } from '#libs/events/src/shapes/agent-shape.js';

export interface Execution {
  readonly id: string;
  readonly orgId: string;
  readonly agent: string;
  readonly trigger: ExecutionTrigger;
  readonly eventId: string;
  readonly requestedBy: string | null;
}

const TRIGGERS = { rule: 'rule', run: 'workflow', webhook: 'webhook' } as const;

/** What an agent was asked to do. */
export function executionOf(event: RecordedEvent<'agent.requested'>): Execution {
  const { agent, eventId, requestedBy } = event.data;
  return {
    id: requestedExecutionId(event),
    orgId: event.metadata.orgId,
    agent,
    trigger: TRIGGERS[requestedBy.kind],
    eventId,
    requestedBy:
      requestedBy.kind === 'rule' ? requestedBy.ruleId : requestedBy.kind === 'run' ? requestedBy.runId : null,
  };
}
