import { platformEvent, type RecordedEvent } from '#libs/event-store/src/event-store.js';
import { globMatcher, typeMatcher } from '#libs/events/src/patterns.js';
import { isExactNumber } from '#libs/kernel/src/text/exact-json.js';

import type { EventQuery } from './event-query.js';

/** What the query asks about each event that the index has found; `undefined` if nothing. */
export function questionOf({ actor, words, filter }: EventQuery): ((event: RecordedEvent) => boolean) | undefined {
  if (actor === undefined && words === undefined && filter === undefined) return undefined;
  const byActor = actor === undefined ? () => true : globMatcher(actor);
  return (event) => {
    if (!byActor(event.metadata.actor)) return false;
    if (words === undefined && filter === undefined) return true;
    const shown = platformEvent(event);
    return (words === undefined || hasWords(shown.data, words)) && (filter === undefined || filter.test(shown));
  };
}

/** Whether each word stands in a text of the value. */
function hasWords(value: unknown, words: readonly string[]): boolean {
  let missing = words;
  const unread: unknown[] = [value];
  while (unread.length > 0 && missing.length > 0) {
    const next = unread.pop();
    if (typeof next === 'string') {
      const text = next.toLowerCase();
      missing = missing.filter((word) => !text.includes(word));
    } else if (typeof next === 'object' && next !== null && !isExactNumber(next))
      for (const part of Object.values(next)) unread.push(part);
  }
  return missing.length === 0;
}

/** The query as a question about one event, for events that are in memory already. The index answers the same. */
export function matcherOf(query: EventQuery): (event: RecordedEvent) => boolean {
  const { orgId, correlation, from, to, fromPosition, toPosition } = query;
  const isAskedFor = questionOf(query);
  const ofType = query.types.length === 0 ? () => true : typeMatcher(query.types);
  const ofSource = query.source === undefined ? () => true : globMatcher(query.source);
  const ofSubject = query.subject === undefined ? () => true : globMatcher(query.subject);
  return (event) => {
    if (!ofType(event.type)) return false;
    if (fromPosition !== undefined && event.position < fromPosition) return false;
    if (toPosition !== undefined && event.position > toPosition) return false;
    if (!event.hasMetadata) return false;
    const { metadata } = event;
    if (metadata.orgId !== orgId || !ofSource(metadata.source) || !ofSubject(metadata.subject)) return false;
    if (correlation !== undefined && metadata.$correlationId !== correlation) return false;
    if (from ?? to) {
      const { timestamp, receivedAt = timestamp } = metadata;
      const time = new Date(query.by === 'timestamp' ? timestamp : receivedAt);
      if ((from && time < from) || (to && time >= to)) return false;
    }
    // Data cost most to parse.
    return event.isReadable && (isAskedFor === undefined || isAskedFor(event));
  };
}
