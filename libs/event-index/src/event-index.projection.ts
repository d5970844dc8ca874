import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Subscriber, SubscriberContext } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import { type RowOf, upsertRows } from '#libs/persistence/src/rows.adapter.js';

import { EventView } from './event.view.js';

/** Keeps where every event is and what it is found by: one statement for thousands of events, since it sees them all. */
export class EventIndex implements Subscriber {
  readonly name = followers.eventIndex;
  readonly reads = 'all' as const;
  readonly writes = [] as const;
  readonly keeps = { tables: ['events'], onlyInserts: true, foldVersion: 1 } as const;
  readonly batchSize = 2_000;
  readonly gathers = true;
  readonly seesQuarantined = true;

  async handle(events: readonly RecordedEvent[], context: SubscriberContext): Promise<void> {
    await upsertRows(await context.transaction(), EventView, events.map(rowOf), { onConflict: 'nothing' });
  }
}

function rowOf({ position, id, type, metadata, stream, revision }: RecordedEvent): RowOf<EventView> {
  const { source, subject, orgId, timestamp } = metadata;
  // Events that others wrote may lack it.
  const { receivedAt = timestamp } = metadata;
  const { $correlationId: correlation, $causationId: causation = null, personal = null } = metadata;
  return {
    position,
    id,
    type,
    source,
    subject,
    orgId,
    timestamp,
    receivedAt,
    correlation,
    causation,
    stream,
    revision,
    personal: personal && personal.join(' '),
  };
}
