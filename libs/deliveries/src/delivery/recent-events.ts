import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import { BoundedMap } from '#libs/kernel/src/bounded-map.js';
import type { Uuid } from '#libs/kernel/src/ids.js';

const MAX_BYTES = 4 * 1024 * 1024;
const MAX_EVENTS = 10_000;

/**
 * The newest events of the log. An event is usually sent a moment after it was recorded, by its subscribers or by an action
 * that names it: then the worker need not read it back. Only a saving; what is not here is in the log.
 */
export class RecentEvents {
  private readonly events = new BoundedMap<string, RecordedEvent>(MAX_EVENTS);
  private bytes = 0;

  add(event: RecordedEvent): void {
    // Personal data are kept in the log alone, where they are encrypted.
    if (event.isOpened) return;
    const key = keyOf(event.stream, event.revision);
    if (this.events.has(key)) return;
    this.bytes += event.bytes;
    while (this.events.size > 0 && (this.bytes > MAX_BYTES || this.events.size >= MAX_EVENTS))
      this.bytes -= this.events.removeOldest()!.bytes;
    this.events.set(key, event.unparsed());
  }

  get(stream: string, revision: bigint | string): RecordedEvent | undefined {
    return this.events.get(keyOf(stream, revision));
  }
}

const keyOf = (stream: string, revision: bigint | string): string => `${revision}@${stream}`;

/** Where an event stands in the log. */
export interface EventPlace {
  readonly stream: string;
  readonly revision: string;
  readonly type: string;
}

export const placeOf = ({ stream, revision, type }: RecordedEvent): EventPlace => ({
  stream,
  revision: String(revision),
  type,
});

const MAX_PLACES = 20_000;

/** Where the newest events are, by their UUIDs: a request that names an event usually follows it closely. */
export class RecentPlaces {
  private readonly places = new BoundedMap<Uuid, EventPlace>(MAX_PLACES);

  note(event: RecordedEvent): void {
    this.places.set(event.id, placeOf(event));
  }

  get(event: Uuid): EventPlace | undefined {
    return this.places.get(event);
  }
}
