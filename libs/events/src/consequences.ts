import { catalogue, type EventType } from './catalogue.js';
import { typeMatcher } from './patterns.js';

const STARTS_A_RUN = [
  'workflow.requested',
  'workflow.started',
  'workflow.step_completed',
  'workflow.error',
  'workflow.status_changed',
  'workflow.completed',
  'workflow.failed',
  'run.*',
];

/** What is recorded when somebody acts, for warnings: who listens to it hears itself. By actions of rules and steps. */
const LEADS_TO: Readonly<Record<string, readonly string[]>> = {
  create_issue: [
    'issue.requested',
    'issue.created',
    'issue.commented',
    'issue.updated',
    'issue.status_changed',
    'tracker.*',
  ],
  send_webhook: [
    'webhook.requested',
    'webhook.delivered',
    'webhook.failed',
    'webhook.redelivery_requested',
    'webhook.exhausted',
  ],
  redeliver_webhook: ['webhook.redelivery_requested', 'webhook.delivered', 'webhook.failed', 'webhook.exhausted'],
  dispatch_workflow: STARTS_A_RUN,
  workflow: STARTS_A_RUN,
  dispatch_agent: ['agent.requested', 'agent.started', 'agent.finished', 'agent.failed'],
  send_message: ['message.requested', 'message.attempted', 'message.attempt_failed', 'message.sent', 'message.failed'],
};

/** What the engine records about a rule whenever it decides. */
export const RECORDED_OF_RULES: readonly string[] = ['rule.evaluated', 'action.refused'];

/** Types, or globs, of what an action or a step leads to. */
export const typesAfter = (action: string): readonly string[] => LEADS_TO[action] ?? [];

/** The types of the catalogue that are both listened to and among those that follow. */
export function heardAgain(listens: (type: string) => boolean, follow: readonly string[]): readonly EventType[] {
  if (follow.length === 0) return [];
  const follows = typeMatcher(follow);
  return (Object.keys(catalogue) as EventType[]).filter((type) => listens(type) && follows(type));
}

/** The warning for a rule, workflow or webhook that listens to what it causes. */
export const hearsItself = (who: string, types: readonly string[]): string =>
  `It is triggered by events that it causes itself: ${types.slice(0, 4).join(', ')}${types.length > 4 ? ' …' : ''}. The ${who} does not act on events that follow from its own actions, unless allowRecursion is true.`;
