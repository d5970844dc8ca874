import { platformEvent, type RecordedEvent } from '#libs/event-store/src/event-store.js';
import { globMatcher, typeMatcher } from '#libs/events/src/patterns.js';

import type { EventQuery } from './event-query.js';

/** The query as a question about one event, for events that are in memory already. The index answers the same. */
export function matcherOf(query: EventQuery): (event: RecordedEvent) => boolean {
  const { orgId, correlation, from, to, fromPosition, toPosition, filter } = query;
  const ofType = query.types.length === 0 ? () => true : typeMatcher(query.types);
  const ofSource = query.source === undefined ? () => true : globMatcher(query.source);
  const ofSubject = query.subject === undefined ? () => true : globMatcher(query.subject);
  return (event) => {
    if (!ofType(event.type)) return false;
    if (fromPosition !== undefined && event.position < fromPosition) return false;
    if (toPosition !== undefined && event.position > toPosition) return false;
    if (!event.isReadable) return false;
    const { metadata } = event;
    if (metadata.orgId !== orgId || !ofSource(metadata.source) || !ofSubject(metadata.subject)) return false;
    if (correlation !== undefined && metadata.$correlationId !== correlation) return false;
    if (from ?? to) {
      const { timestamp, receivedAt = timestamp } = metadata;
      const time = new Date(query.by === 'timestamp' ? timestamp : receivedAt);
      if ((from && time < from) || (to && time >= to)) return false;
    }
    return filter === undefined || filter.test(platformEvent(event));
  };
}
