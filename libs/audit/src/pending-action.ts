import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { DataOf } from '#libs/events/src/catalogue.js';
import { beginningUnlessSealed } from '#libs/events/src/personal/field-path.js';
import { eventIdOf, requestedExecutionId } from '#libs/events/src/envelope.js';
import { storable } from '#libs/kernel/src/text/text.js';

/** Requests that a stage may leave lying; all others are carried out, or refused with a reason, as soon as they are read. */
export const PENDING_REQUESTS = ['agent.requested', 'message.requested', 'action.requested'] as const;

export type PendingType = 'dispatch_agent' | 'send_message' | 'action';
export const PENDING_TYPES: readonly PendingType[] = ['dispatch_agent', 'send_message', 'action'];

/** What was asked for and nobody has begun; of a message or an action of a plug-in, nobody has brought to an end. */
export interface PendingAction {
  /** `exec_…` of an agent's execution; of all else, `evt_…` of the request. */
  readonly id: string;
  readonly orgId: string;
  readonly type: PendingType;
  readonly requestedBy: DataOf<'agent.requested'>['requestedBy'];
  readonly eventId: string;
  /** Whom it is for, and the beginning of a message. All of it is in the event of the request. */
  readonly details: Readonly<Record<string, string>>;
  /** RFC 3339 UTC. */
  readonly requestedAt: string;
}

const SHOWN = 1_000;

export function pendingAction(event: RecordedEvent<(typeof PENDING_REQUESTS)[number]>): PendingAction {
  const { orgId, timestamp } = event.metadata;
  const { requestedBy, eventId } = event.data;
  const common = { orgId, requestedBy, eventId, requestedAt: timestamp };
  if (event.is('agent.requested')) {
    const details = { agent: shown(event.data.agent) };
    return { ...common, id: requestedExecutionId(event), type: 'dispatch_agent', details };
  }
  if (event.is('action.requested'))
    return { ...common, id: eventIdOf(event.id), type: 'action', details: { action: shown(event.data.action) } };
  const { integration, channel, text } = (event as RecordedEvent<'message.requested'>).data;
  return {
    ...common,
    id: eventIdOf(event.id),
    type: 'send_message',
    details: {
      integration: shown(integration),
      ...(channel !== undefined && { channel: shown(channel) }),
      text: shown(text),
    },
  };
}

/** What there is to show of an action that has failed and is tried again. */
export const retryDetails = ({
  attempt,
  error,
  nextAttemptAt = '',
  ...rest
}: DataOf<'action.failed'> | DataOf<'message.attempt_failed'>) => ({
  ...('action' in rest ? { action: shown(rest.action) } : {}),
  attempts: String(attempt),
  error: shown(`${error.code}: ${error.message}`),
  nextAttemptAt,
});

const shown = (text: string): string => storable(beginningUnlessSealed(text, SHOWN));
