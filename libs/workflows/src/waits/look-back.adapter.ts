import type { EventReader } from '#libs/event-index/src/event-reader.adapter.js';
import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Progress } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';

import { LookBack, type Span } from './wait-rows.js';

const PAGE = 500;

/** Finds earlier events by the index of events, once it has come as far as the span. */
export class IndexedLookBack extends LookBack {
  constructor(
    private readonly events: EventReader,
    private readonly progress: Progress,
  ) {
    super();
  }

  async *between({ upTo, ...span }: Span & { readonly after: bigint }): AsyncIterable<readonly RecordedEvent[]> {
    await this.progress.whenProcessed(followers.eventIndex, upTo);
    yield* this.events.all({ ...span, toPosition: upTo, order: 'asc', limit: PAGE });
  }

  async causeOf({ position, metadata: { orgId, $causationId } }: RecordedEvent): Promise<bigint> {
    if ($causationId === undefined) return position;
    await this.progress.whenProcessed(followers.eventIndex, position);
    return (await this.events.byId(orgId, $causationId))?.position ?? position;
  }
}
