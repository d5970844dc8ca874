import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Subscriber, SubscriberContext } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import { jsonColumn } from '#libs/persistence/src/rows.adapter.js';

import { PENDING_REQUESTS, pendingAction, retryDetails } from './pending-action.js';

const ATTEMPTS = [
  'action.completed',
  'action.failed',
  'message.attempt_failed',
  'message.sent',
  'message.failed',
] as const;
type AttemptEvent = RecordedEvent<(typeof ATTEMPTS)[number]>;
const isEnd = (event: RecordedEvent): event is AttemptEvent =>
  event.is('action.completed', 'message.sent', 'message.failed') || (event.is('action.failed') && event.data.final);
/** An execution is no longer pending. */
const BEGUN = ['agent.started', 'agent.failed', 'agent.cancelled'] as const;

/** Keeps what was asked for until somebody begins it or takes it back: it is visible, not lost. */
export class PendingActions implements Subscriber {
  readonly name = followers.pendingActions;
  readonly reads = [...PENDING_REQUESTS, ...BEGUN, ...ATTEMPTS] as const;
  readonly writes = [] as const;
  readonly gathers = true;

  async handle(events: readonly RecordedEvent[], context: SubscriberContext): Promise<void> {
    const tx = await context.transaction();
    for (const event of events) {
      if (event.is(...BEGUN)) tx.write('delete from views.pending_actions where id = $1', [event.data.executionId]);
      else if (isEnd(event)) tx.write('delete from views.pending_actions where id = $1', [event.data.requestId]);
      else if (event.is('action.failed', 'message.attempt_failed'))
        tx.write('update views.pending_actions set details = $2 where id = $1', [
          event.data.requestId,
          jsonColumn(retryDetails(event.data)),
        ]);
      else if (event.is(...PENDING_REQUESTS)) {
        const { id, orgId, type, requestedBy, eventId, details, requestedAt } = pendingAction(event);
        tx.write(
          `insert into views.pending_actions (id, org_id, type, requested_by, event_id, details, requested_at)
           values ($1, $2, $3, $4, $5, $6, $7) on conflict (id) do nothing`,
          [id, orgId, type, jsonColumn(requestedBy), eventId, jsonColumn(details), requestedAt],
        );
      }
    }
  }
}
