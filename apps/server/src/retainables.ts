import { retainedMessages } from '#libs/actions/src/messages/retained-messages.js';
import { retainedDecisions } from '#libs/rules/src/decisions/retained-decisions.js';
import { retainedRuns } from '#libs/workflows/src/run/retained-runs.js';
import { retainedDeliveries } from '#libs/deliveries/src/delivery/retained-deliveries.js';
import { retainedExecutions } from '#libs/agents/src/retained-executions.js';
import { type Retainable, retainableWork } from '#libs/persistence/src/retainable.js';

/** Who needs old events, and has rows that go with them when retention removes them. */
export const RETAINABLES: readonly Retainable[] = [
  retainableWork,
  retainedRuns,
  retainedDeliveries,
  retainedMessages,
  retainedDecisions,
  retainedExecutions,
];
