import type { EventFilter, RecordedEvent } from './event-store.js';

/** The filter as a question about one event, for events that are in memory already. */
export function matcher(filter: EventFilter | undefined): (event: RecordedEvent) => boolean {
  const types = filter?.types && new Set(filter.types);
  const prefixes = filter?.streamPrefixes;
  if (!types && !prefixes) return () => true;
  return (event) =>
    (types === undefined || types.has(event.type)) &&
    (prefixes === undefined || prefixes.some((prefix) => event.stream.startsWith(prefix)));
}
