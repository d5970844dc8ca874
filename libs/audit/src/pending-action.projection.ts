import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Subscriber, SubscriberContext, ViewTransaction } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import { jsonColumn } from '#libs/persistence/src/rows.adapter.js';

import { PENDING_REQUESTS, pendingAction, retryDetails } from './pending-action.js';
import { PendingChanges } from './pending-changes.js';

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
  readonly keeps = { tables: ['pending_actions'], foldVersion: 1 } as const;
  readonly readsSealed = true;
  readonly gathers = true;

  async handle(events: readonly RecordedEvent[], context: SubscriberContext): Promise<void> {
    const changes = new PendingChanges();
    for (const event of events) {
      if (event.is(...BEGUN)) changes.end(event.data.executionId);
      else if (isEnd(event)) changes.end(event.data.requestId);
      else if (event.is('action.failed', 'message.attempt_failed'))
        changes.retry(event.data.requestId, retryDetails(event.data));
      else if (event.is(...PENDING_REQUESTS)) changes.request(pendingAction(event));
    }
    write(await context.transaction(), changes);
  }
}

function write(tx: ViewTransaction, { removed, details, added }: PendingChanges): void {
  if (removed.size > 0) tx.write('delete from views.pending_actions where id = any($1::text[])', [[...removed]]);
  if (details.size > 0)
    tx.write(
      `update views.pending_actions p set details = g.details
       from unnest($1::text[], $2::jsonb[]) as g (id, details) where p.id = g.id`,
      [[...details.keys()], [...details.values()].map(jsonColumn)],
    );
  if (added.size === 0) return;
  const rows = [...added.values()];
  tx.write(
    `insert into views.pending_actions (id, org_id, type, requested_by, event_id, details, requested_at)
     select * from unnest($1::text[], $2::text[], $3::text[], $4::jsonb[], $5::text[], $6::jsonb[], $7::timestamptz[])
     on conflict (id) do nothing`,
    [
      rows.map(({ id }) => id),
      rows.map(({ orgId }) => orgId),
      rows.map(({ type }) => type),
      rows.map(({ requestedBy }) => jsonColumn(requestedBy)),
      rows.map(({ eventId }) => eventId),
      rows.map(({ details: shown }) => jsonColumn(shown)),
      rows.map(({ requestedAt }) => requestedAt),
    ],
  );
}
