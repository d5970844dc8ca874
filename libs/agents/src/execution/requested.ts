import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import { requestedExecutionId } from '#libs/events/src/envelope.js';
import type { ExecutionTrigger } from '#libs/events/src/shapes/agents/execution-shape.js';

/** What an agent was asked to do. */
export interface RequestedExecution {
  readonly id: string;
  readonly orgId: string;
  readonly agent: string;
  readonly trigger: ExecutionTrigger;
  /** Empty if no event led to it. */
  readonly eventId: string;
  /** The rule or run; null for all else. */
  readonly requestedBy: string | null;
}

const TRIGGERS = { rule: 'rule', run: 'workflow', webhook: 'webhook', manual: 'manual', agent: 'manual' } as const;

export function executionOf(event: RecordedEvent<'agent.requested'>): RequestedExecution {
  const { agent, eventId, requestedBy, scheduled } = event.data;
  return {
    id: requestedExecutionId(event),
    orgId: event.metadata.orgId,
    agent,
    trigger: scheduled === true ? 'schedule' : TRIGGERS[requestedBy.kind],
    eventId,
    requestedBy:
      requestedBy.kind === 'rule' ? requestedBy.ruleId : requestedBy.kind === 'run' ? requestedBy.runId : null,
  };
}
