import type { EventStore, RecordedEvent } from '#libs/event-store/src/event-store.js';
import { readAt } from '#libs/event-store/src/reading.js';
import { streams } from '#libs/events/src/streams.js';

import type { Connection } from './connection.table.js';

/** The event that led to a request, if it came in through this integration. */
export async function originOf(
  store: EventStore,
  request: RecordedEvent<'message.requested' | 'issue.requested'>,
  connection: Connection,
): Promise<RecordedEvent | undefined> {
  const place = request.data.event;
  const origin = place && (await readAt(store, place.stream, place.revision));
  const isOurs =
    origin !== undefined &&
    streams.isInbound(origin.stream) &&
    origin.metadata.actor === `integration/${connection.id}`;
  return isOurs ? origin : undefined;
}
