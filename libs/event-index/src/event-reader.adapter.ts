import type { DataSource } from 'typeorm';

import type { EventStore, RecordedEvent } from '#libs/event-store/src/event-store.js';
import { Quarantine, type QuarantineMark } from '#libs/event-store/src/runner/quarantine.table.js';
import { readAt } from '#libs/event-store/src/reading.js';
import type { Progress } from '#libs/event-store/src/subscriber.js';
import { eventUuidOf } from '#libs/events/src/envelope.js';
import { followers } from '#libs/events/src/followers.js';
import { Rejected, Transient } from '#libs/kernel/src/errors.js';
import type { Uuid } from '#libs/kernel/src/ids.js';

import { questionOf } from './event-matcher.js';
import { conditionOf, type EventQuery, timeColumn, type TimeOf } from './event-query.js';

/** A row of the index: enough to fetch its event. */
interface Entry {
  readonly position: bigint;
  readonly type: string;
  readonly stream: string;
  readonly revision: bigint;
}

/** What names an event, also one that the log has no longer. */
export interface EventName {
  readonly id: Uuid;
  readonly type: string;
  readonly stream: string;
  readonly revision: bigint;
}

/** One event of a story, as the index has it. */
export interface TracedEvent {
  readonly id: Uuid;
  readonly type: string;
  readonly source: string;
  readonly subject: string;
  /** RFC 3339 UTC. */
  readonly timestamp: string;
  readonly receivedAt: string;
  readonly causation: Uuid | undefined;
  /** Whether everything passes over it. */
  readonly quarantined?: true;
}

/** Events of some types in a part of the log: positions are inclusive, of the times `before` is exclusive. */
export interface Span {
  readonly orgId: string;
  /** Absent: all types. */
  readonly types?: readonly string[];
  readonly from?: bigint;
  readonly upTo: bigint;
  /** Which time is compared with the next two. */
  readonly by: TimeOf;
  readonly since?: Date;
  readonly before?: Date;
}

/** Events with personal fields of some people. */
export interface UnderKeys {
  readonly total: number;
  readonly ofTypes: number;
  readonly newest: readonly { readonly type: string; readonly id: Uuid; readonly subject: string; readonly at: Date }[];
}

/** How many events a span has, and between which positions; absent where there are none. */
export interface Extent {
  readonly total: number;
  readonly first?: bigint;
  readonly last?: bigint;
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
/** Reading a range of the log whole costs less than this many single reads for each event wanted. */
const DENSE = 20;
const AT_ONCE = 16;
const FRESHNESS_MS = 2_000;
const MINUTE_MS = 60_000;

/** Finds events in the index and fetches them from the log. Its own injection token. */
export class EventReader {
  constructor(
    private readonly database: DataSource,
    private readonly store: EventStore,
    private readonly progress: Progress,
    private readonly quarantine: Quarantine = new Quarantine(),
  ) {}

  /**
   * Waits until the index has what was in the log when asked, so that an event that was just acknowledged can be found.
   * @returns false where the index is far behind: then it answers with what it has.
   */
  async settle(): Promise<boolean> {
    try {
      await this.progress.whenProcessed(followers.eventIndex, await this.store.head(), FRESHNESS_MS);
      return true;
    } catch (error) {
      if (!(error instanceof Transient)) throw error;
      return false;
    }
  }

  /**
   * Position of the last event, of any organisation, that was recorded by then; 0n for none.
   * @throws Transient `event_index.behind`
   */
  async positionAt(time: Date): Promise<bigint> {
    if (!(await this.settle()))
      throw new Transient(
        'event_index.behind',
        'The index of events has not processed the newest events. Try again in a moment, or use a position of the log.',
      );
    // By parts of the log: the times have a block index, which finds the rows of a short time fast.
    for (const within of [MINUTE_MS, 60 * MINUTE_MS, 1_440 * MINUTE_MS, 43_200 * MINUTE_MS, Infinity]) {
      const since = within === Infinity ? '-infinity' : new Date(time.getTime() - within);
      const [found] = await this.database.query<{ position: string | null }[]>(
        `with near as materialized (
           select position from views.events where received_at <= $1 and received_at > $2)
         select max(position) as position from near`,
        [time, since],
      );
      if (typeof found?.position === 'string') return BigInt(found.position);
    }
    return 0n;
  }

  /**
   * An event of an organisation by its public id; also one that was recorded a moment ago.
   * @throws Rejected `event.not_found`
   */
  async get(orgId: string, id: string): Promise<RecordedEvent> {
    const uuid = eventUuidOf(id);
    if (uuid !== undefined) {
      const found = (await this.byId(orgId, uuid)) ?? (await this.settle(), await this.byId(orgId, uuid));
      if (found) return found;
    }
    throw eventNotFound(id);
  }

  /**
   * Where an event is, also where retention has removed it from the log: then without the event.
   * @throws Rejected `event.not_found`
   */
  async find(orgId: string, id: string): Promise<{ readonly position: bigint; readonly event?: RecordedEvent }> {
    const uuid = eventUuidOf(id);
    if (uuid !== undefined) {
      const [removed] = await this.database.query<{ position: string }[]>(
        'select position from views.events where id = $1 and org_id = $2 and truncated order by position limit 1',
        [uuid, orgId],
      );
      if (removed) return { position: BigInt(removed.position) };
    }
    const event = await this.get(orgId, id);
    return { position: event.position, event };
  }

  /** Why an event is in quarantine; `undefined` if it is not. */
  markOf(id: Uuid): QuarantineMark | undefined {
    return this.quarantine.markOf(id);
  }

  async page(query: EventQuery): Promise<EventPage> {
    const found: RecordedEvent[] = [];
    const isAskedFor = this.questionOf(query);
    let after = query.after;
    for (let scanned = 0; scanned < MAX_SCANNED;) {
      const wanted = isAskedFor ? PAGE : query.limit - found.length + 1;
      const entries = await this.entries(query, after, wanted);
      const events = await this.fetch(entries);
      for (const entry of entries) {
        if (found.length === query.limit) return { events: found, next: after! };
        after = entry.position;
        const event = events.get(entry.position);
        if (event && (!isAskedFor || isAskedFor(event))) found.push(event);
      }
      if (entries.length < wanted) return { events: found };
      scanned += entries.length;
    }
    return { events: found, next: after! };
  }

  /** The events of the query up to its limit, in batches, as long as somebody takes them. */
  async *all(query: EventQuery): AsyncGenerator<readonly RecordedEvent[]> {
    const isAskedFor = this.questionOf(query);
    let after = query.after;
    for (let left = query.limit; left > 0;) {
      const wanted = isAskedFor ? PAGE : Math.min(PAGE, left);
      const entries = await this.entries(query, after, wanted);
      const events = await this.fetch(entries);
      const found = entries.flatMap(({ position }) => {
        const event = events.get(position);
        return event && (!isAskedFor || isAskedFor(event)) ? [event] : [];
      });
      yield found.slice(0, left);
      if (entries.length < wanted) return;
      left -= found.length;
      after = entries.at(-1)!.position;
    }
  }

  async byId(orgId: string, id: Uuid): Promise<RecordedEvent | undefined> {
    const [entry] = await this.select('id = $1 and org_id = $2', [id, orgId], 'order by position limit 1');
    return entry && (await this.fetch([entry])).get(entry.position);
  }

  /** The events of an organisation at these positions; those that the log no longer has are missing. */
  async at(orgId: string, positions: readonly bigint[]): Promise<ReadonlyMap<bigint, RecordedEvent>> {
    if (positions.length === 0) return new Map();
    return this.fetch(
      await this.select(
        'position = any($1::bigint[]) and org_id = $2',
        [positions.map(String), orgId],
        'order by position',
      ),
    );
  }

  /** What names the events at these positions; those that the index does not have are missing. */
  async namesAt(positions: readonly bigint[]): Promise<ReadonlyMap<bigint, EventName>> {
    if (positions.length === 0) return new Map();
    const rows = await this.database.query<
      { position: string; id: Uuid; type: string; stream: string; revision: string }[]
    >('select position, id, type, stream, revision from views.events where position = any($1::bigint[])', [
      positions.map(String),
    ]);
    return new Map(
      rows.map(({ position, revision, ...name }) => [BigInt(position), { ...name, revision: BigInt(revision) }]),
    );
  }

  /** The correlation that an event belongs to. */
  async correlationOf(orgId: string, id: Uuid): Promise<Uuid | undefined> {
    const [row] = await this.database.query<{ correlation: Uuid }[]>(
      'select correlation from views.events where id = $1 and org_id = $2 order by position limit 1',
      [id, orgId],
    );
    return row?.correlation;
  }

  /** How many events a story has; counts no further than `most`. */
  async countStory(correlation: Uuid, most: number): Promise<number> {
    const [row] = await this.database.query<{ total: number }[]>(
      `select count(*)::int as total from
         (select 1 from views.events where correlation = $1 limit $2) as story`,
      [correlation, most],
    );
    return row!.total;
  }

  /** In the order of the log, at most {@link MAX_TRACED}. */
  async story(orgId: string, correlation: Uuid): Promise<readonly TracedEvent[]> {
    const rows = await this.database.query<
      (Omit<TracedEvent, 'timestamp' | 'receivedAt' | 'causation' | 'quarantined'> & {
        readonly timestamp: Date;
        readonly receivedAt: Date;
        readonly causation: Uuid | null;
      })[]
    >(
      `select id, type, source, subject, timestamp, received_at as "receivedAt", causation from views.events
       where correlation = $1 and org_id = $2 order by position limit ${MAX_TRACED}`,
      [correlation, orgId],
    );
    return rows.map(({ timestamp, receivedAt, causation, ...row }) => ({
      ...row,
      timestamp: timestamp.toISOString(),
      receivedAt: receivedAt.toISOString(),
      causation: causation ?? undefined,
      ...(this.quarantine.has(row.id) && { quarantined: true as const }),
    }));
  }

  /** How many events are encrypted under one of these keys, how many of them are of these types, and the newest of those. */
  async underKeys(orgId: string, keys: readonly string[], types: readonly string[], most: number): Promise<UnderKeys> {
    const under = `from views.events where org_id = $1 and personal is not null
                    and string_to_array(personal, ' ') && $2::text[]`;
    const [counts, newest] = await Promise.all([
      this.database.query<{ total: number; ofTypes: number }[]>(
        `select count(*)::int as total, count(*) filter (where type = any($3))::int as "ofTypes" ${under}`,
        [orgId, keys, types],
      ),
      this.database.query<{ type: string; id: Uuid; subject: string; at: Date }[]>(
        `select type, id, subject, received_at as at ${under} and type = any($3) order by position desc limit $4`,
        [orgId, keys, types, most],
      ),
    ]);
    return { ...counts[0]!, newest };
  }

  /** Names of all types that are in the log. */
  async types(): Promise<readonly string[]> {
    // One look-up in the index for each type.
    const rows = await this.database.query<{ type: string }[]>(
      `with recursive known (type) as (
         (select type from views.events order by type limit 1)
         union all
         select (select e.type from views.events e where e.type > known.type order by e.type limit 1)
         from known where known.type is not null
       ) select type from known where type is not null`,
    );
    return rows.map(({ type }) => type);
  }

  async extentOf({ orgId, types, from = 0n, upTo, by, since, before }: Span): Promise<Extent> {
    const time = timeColumn(by);
    const [row] = await this.database.query<{ total: string; first: string | null; last: string | null }[]>(
      // The sums keep the planner from walking the log in search of the first and the last.
      `select count(*)::text as total, min(position + 0)::text as first, max(position + 0)::text as last
       from views.events where org_id = $1 and ($2::text[] is null or type = any($2)) and position >= $3 and position <= $4
         and ($5::timestamptz is null or ${time} >= $5) and ($6::timestamptz is null or ${time} < $6)`,
      [orgId, types ?? null, String(from), String(upTo), since?.toISOString() ?? null, before?.toISOString() ?? null],
    );
    const { total, first, last } = row!;
    return {
      total: Number(total),
      ...(first !== null && { first: BigInt(first) }),
      ...(last !== null && { last: BigInt(last) }),
    };
  }

  /** What is asked about each event that the index has found; `undefined` if nothing. */
  private questionOf(query: EventQuery): ((event: RecordedEvent) => boolean) | undefined {
    const { quarantine } = this;
    const isAskedFor = questionOf(query);
    if (query.includesQuarantined === true || quarantine.size === 0) return isAskedFor;
    return (event) => !quarantine.has(event.id) && (isAskedFor === undefined || isAskedFor(event));
  }

  private entries(query: EventQuery, after: bigint | undefined, limit: number): Promise<readonly Entry[]> {
    const { sql, values } = conditionOf(query, after);
    return this.select(sql, values, `order by position ${query.order} limit ${limit}`);
  }

  private async select(where: string, values: readonly unknown[], rest: string): Promise<readonly Entry[]> {
    const rows = await this.database.query<{ position: string; type: string; stream: string; revision: string }[]>(
      `select position, type, stream, revision from views.events where ${where} ${rest}`,
      [...values],
    );
    return rows.map((row) => ({ ...row, position: BigInt(row.position), revision: BigInt(row.revision) }));
  }

  /** By position. What retention has taken out of the log is missing. */
  private async fetch(entries: readonly Entry[]): Promise<ReadonlyMap<bigint, RecordedEvent>> {
    const events = new Map<bigint, RecordedEvent>();
    if (entries.length === 0) return events;
    const positions = entries.map(({ position }) => position);
    const [first, last] =
      positions[0]! < positions.at(-1)! ? [positions[0]!, positions.at(-1)!] : [positions.at(-1)!, positions[0]!];
    if (entries.length > 1 && last - first < BigInt(entries.length * DENSE)) {
      const types = [...new Set(entries.map(({ type }) => type))];
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
    for (let start = 0; start < entries.length; start += AT_ONCE)
      await Promise.all(
        entries.slice(start, start + AT_ONCE).map(async ({ stream, revision }) => {
          const event = await readAt(this.store, stream, revision);
          if (event) events.set(event.position, event);
        }),
      );
    return events;
  }
}

export const eventNotFound = (id: string): Rejected =>
  new Rejected('not_found', 'event.not_found', `There is no event ${id}. GET /api/v1/events lists the existing ones.`);
