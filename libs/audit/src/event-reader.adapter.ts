import type { DataSource } from 'typeorm';

import { type EventStore, platformEvent, type RecordedEvent } from '#libs/event-store/src/event-store.js';
import { readAt } from '#libs/event-store/src/reading.js';
import type { Progress } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import { Transient } from '#libs/kernel/src/errors.js';
import type { Uuid } from '#libs/kernel/src/ids.js';

import { conditionOf, type EventQuery } from './event-query.js';
import type { TracedEvent } from './trace.js';

interface Place {
  readonly position: bigint;
  readonly type: string;
  readonly stream: string;
  readonly revision: bigint;
}

export interface EventPage {
  readonly events: readonly RecordedEvent[];
  /** Go on after this position; absent at the end. */
  readonly next?: bigint;
}

const PAGE = 500;
/** Most events that one request looks through for its JMESPath filter; the cursor goes on from there. */
const MAX_SCANNED = 5_000;
/** Most events of one trace. */
export const MAX_TRACED = 5_000;
/** Reading a stretch of the log whole costs less than this many single reads for each event wanted. */
const DENSE = 20;
const AT_ONCE = 16;
const FRESHNESS_MS = 2_000;

/** Finds events in the index and fetches them from the log. Its own injection token. */
export class EventReader {
  constructor(
    private readonly database: DataSource,
    private readonly store: EventStore,
    private readonly progress: Progress,
  ) {}

  /**
   * Waits until the index has what was in the log when asked, so that whoever was just told of an event finds it. Where
   * it is far behind, answers with what is there.
   */
  async settle(): Promise<void> {
    try {
      await this.progress.whenProcessed(followers.eventIndex, await this.store.head(), FRESHNESS_MS);
    } catch (error) {
      if (!(error instanceof Transient)) throw error;
    }
  }

  async page(query: EventQuery): Promise<EventPage> {
    const found: RecordedEvent[] = [];
    let after = query.after;
    for (let scanned = 0; scanned < MAX_SCANNED;) {
      const wanted = query.filter ? PAGE : query.limit - found.length + 1;
      const places = await this.places(query, after, wanted);
      const events = await this.fetch(places);
      for (const place of places) {
        if (found.length === query.limit) return { events: found, next: after! };
        after = place.position;
        const event = events.get(place.position);
        if (event && (!query.filter || query.filter.test(platformEvent(event)))) found.push(event);
      }
      if (places.length < wanted) return { events: found };
      scanned += places.length;
    }
    return { events: found, next: after! };
  }

  /** Every event of the query, in batches, as long as somebody takes them. */
  async *all(query: EventQuery): AsyncGenerator<readonly RecordedEvent[]> {
    let after = query.after;
    for (;;) {
      const places = await this.places(query, after, PAGE);
      const events = await this.fetch(places);
      yield places.flatMap(({ position }) => {
        const event = events.get(position);
        return event && (!query.filter || query.filter.test(platformEvent(event))) ? [event] : [];
      });
      if (places.length < PAGE) return;
      after = places.at(-1)!.position;
    }
  }

  async byId(orgId: string, id: Uuid): Promise<RecordedEvent | undefined> {
    const [place] = await this.select('id = $1 and org_id = $2', [id, orgId], 'order by position limit 1');
    return place && (await this.fetch([place])).get(place.position);
  }

  /** The correlation that an event belongs to. */
  async correlationOf(orgId: string, id: Uuid): Promise<Uuid | undefined> {
    const [row] = await this.database.query<{ correlation: Uuid }[]>(
      'select correlation from views.events where id = $1 and org_id = $2 order by position limit 1',
      [id, orgId],
    );
    return row?.correlation;
  }

  /** In the order of the log, at most {@link MAX_TRACED}. */
  async story(orgId: string, correlation: Uuid): Promise<readonly TracedEvent[]> {
    const rows = await this.database.query<
      { id: Uuid; type: string; source: string; subject: string; timestamp: Date; causation: Uuid | null }[]
    >(
      `select id, type, source, subject, timestamp, causation from views.events
       where correlation = $1 and org_id = $2 order by position limit ${MAX_TRACED}`,
      [correlation, orgId],
    );
    return rows.map(({ timestamp, causation, ...row }) => ({
      ...row,
      timestamp: timestamp.toISOString(),
      causation: causation ?? undefined,
    }));
  }

  private places(query: EventQuery, after: bigint | undefined, limit: number): Promise<readonly Place[]> {
    const { sql, values } = conditionOf(query, after);
    return this.select(sql, values, `order by position ${query.order} limit ${limit}`);
  }

  private async select(where: string, values: readonly unknown[], rest: string): Promise<readonly Place[]> {
    const rows = await this.database.query<{ position: string; type: string; stream: string; revision: string }[]>(
      `select position, type, stream, revision from views.events where ${where} ${rest}`,
      [...values],
    );
    return rows.map((row) => ({ ...row, position: BigInt(row.position), revision: BigInt(row.revision) }));
  }

  /** By position. What retention has taken out of the log is missing. */
  private async fetch(places: readonly Place[]): Promise<ReadonlyMap<bigint, RecordedEvent>> {
    const events = new Map<bigint, RecordedEvent>();
    if (places.length === 0) return events;
    const positions = places.map(({ position }) => position);
    const [first, last] =
      positions[0]! < positions.at(-1)! ? [positions[0]!, positions.at(-1)!] : [positions.at(-1)!, positions[0]!];
    if (places.length > 1 && last - first < BigInt(places.length * DENSE)) {
      const types = [...new Set(places.map(({ type }) => type))];
      for (let from = first; from <= last;) {
        const page = await this.store.readAll({ from, filter: { types }, limit: PAGE });
        for (const event of page.events) events.set(event.position, event);
        if (page.end || page.position >= last) break;
        // The next page begins with the last event of this one, since reading is inclusive and positions are opaque.
        if (page.position === from) break;
        from = page.position;
      }
      return events;
    }
    for (let start = 0; start < places.length; start += AT_ONCE)
      await Promise.all(
        places.slice(start, start + AT_ONCE).map(async ({ stream, revision }) => {
          const event = await readAt(this.store, stream, revision);
          if (event) events.set(event.position, event);
        }),
      );
    return events;
  }
}
