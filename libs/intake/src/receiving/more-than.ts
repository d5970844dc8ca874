import type { EventToAppend, RecordedEvent } from '#libs/event-store/src/event-store.js';
import { parseJson } from '#libs/kernel/src/text/exact-json.js';
import { canonicalJson, type JsonObject } from '#libs/kernel/src/json.js';

/**
 * What a request adds to the first time of its delivery: the events that follow those recorded, if it begins with the very
 * same payloads. A batch that has grown goes on where it ended; any other body under the same id adds nothing.
 */
export function moreThan(
  recorded: readonly RecordedEvent[],
  events: readonly EventToAppend[],
): readonly EventToAppend[] {
  if (recorded.length === 0 || recorded.length >= events.length) return [];
  const same = recorded.every(({ id, type, dataJson }, index) => {
    const event = events[index]!;
    return id === event.id && type === event.type && payloadOf(dataJson) === payloadOf(event.data);
  });
  return same ? events.slice(recorded.length) : [];
}

/** Other fields of `data`, such as the address of the sender, may well differ from one try to the next. */
const payloadOf = (data: string): string => canonicalJson((parseJson(data) as JsonObject)['payload']);
