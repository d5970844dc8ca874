import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import { publicId } from '#libs/kernel/src/ids.js';

import type { ExecutionTrigger } from './agent.view.js';

export interface Execution {
  readonly id: string;
  readonly orgId: string;
  readonly agent: string;
  readonly trigger: ExecutionTrigger;
  readonly eventId: string;
  readonly requestedBy: string | null;
}

const TRIGGERS = { rule: 'rule', run: 'workflow', webhook: 'webhook' } as const;

/** What an agent was asked to do. Its id follows from the request; of a webhook the sender knows it already. */
export function executionOf(event: RecordedEvent<'agent.requested'>): Execution {
  const { agent, eventId, requestedBy, executionId } = event.data;
  return {
    id: executionId ?? publicId('exec', event.id),
    orgId: event.metadata.orgId,
    agent,
    trigger: TRIGGERS[requestedBy.kind],
    eventId,
    requestedBy:
      requestedBy.kind === 'rule' ? requestedBy.ruleId : requestedBy.kind === 'run' ? requestedBy.runId : null,
  };
}

/** The execution that a webhook leads to has the id of the event that it became, with a prefix of its own. */
export const executionIdOf = (eventId: string): string => `exec_${eventId.slice(eventId.indexOf('_') + 1)}`;
