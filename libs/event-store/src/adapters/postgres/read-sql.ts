import { type EventFilter, RecordedEvent } from '../../event-store.js';
import type { StreamNames } from '../../names/stream-names.js';

/**
 * Results are asked for in PostgreSQL's binary form, in which text and bytes come as they are (bytes in the text form
 * would be hex, twice the size); `pg` decodes every column as UTF-8, so everything else is cast to text. Both columns of
 * bytes hold UTF-8 only.
 */
const COLUMNS = `e.position::text, e.stream, e.revision::text, e.id::text, e.type,
  (date_part('epoch', e.created) * 1000)::bigint::text, e.data, e.metadata`;

/** The columns above, in their order. */
export type EventRow = readonly [string, string, string, string, string, string, string, string];

export function recordedEvent(names: StreamNames, row: EventRow): RecordedEvent {
  const [position, stored, revision, id, type, created, data, metadata] = row;
  return new RecordedEvent(
    // All streams of this table have the prefix.
    stored.slice(names.prefix.length),
    BigInt(revision),
    BigInt(position),
    id,
    type,
    new Date(Number(created)),
    data,
    metadata,
  );
}

/** The one parser for all columns: they are text already. */
export const asTheyAre = { getTypeParser: () => (value: string) => value };

export interface Query {
  readonly name: string;
  readonly text: string;
  readonly values: unknown[];
}

export type Direction = 'forwards' | 'backwards';

const HIDDEN_BEFORE = `coalesce((SELECT r.before FROM log.retention r WHERE r.stream = $1), 0)`;
const STREAM_FORWARDS = `SELECT ${COLUMNS} FROM log.events e
  WHERE e.stream = $1 AND e.revision >= greatest($2::bigint, ${HIDDEN_BEFORE}) ORDER BY e.revision LIMIT $3`;
const STREAM_BACKWARDS = `SELECT ${COLUMNS} FROM log.events e
  WHERE e.stream = $1 AND e.revision <= $2::bigint AND e.revision >= ${HIDDEN_BEFORE} ORDER BY e.revision DESC LIMIT $3`;

export const MAX_BIGINT = 2n ** 63n - 1n;

export const readStreamQuery = (
  stored: string,
  from: bigint | undefined,
  direction: Direction,
  limit: number,
): Query =>
  direction === 'forwards'
    ? { name: 'log-stream', text: STREAM_FORWARDS, values: [stored, from ?? 0n, limit] }
    : { name: 'log-stream-back', text: STREAM_BACKWARDS, values: [stored, from ?? MAX_BIGINT, limit] };

/** A range of the log: exclusive of `after`, inclusive of `upTo`, in reading direction. */
export interface LogRange {
  readonly after: bigint;
  readonly upTo: bigint;
  readonly direction: Direction;
}

/** Most bytes of events in one page. */
const PAGE_BYTES = 8 * 1024 * 1024;

/**
 * The positions of a page. Each type is looked up in its own index range, so that a rare type is found without walking
 * the log, and only the events of the page are fetched. The range is written as a comparison of rows, which that index
 * alone can serve: with stale statistics PostgreSQL would take the primary key, and walk the rest of the log for a type
 * that is not there. Prefixes have no such index: the caller bounds the range.
 */
function candidates({ types, prefixes }: { types?: string; prefixes?: string }, forwards: boolean): string {
  const [beyond, within, order] = forwards ? ['>', '<=', 'ASC'] : ['<', '>=', 'DESC'];
  const prefix = prefixes ? ` AND c.stream ^@ ANY (${prefixes})` : '';
  if (!types)
    return `SELECT c.position FROM log.events c
      WHERE c.position ${beyond} $1::bigint AND c.position ${within} $2::bigint${prefix}
      ORDER BY c.position ${order} LIMIT $3`;
  return `SELECT found.position FROM unnest(${types}) wanted (type) CROSS JOIN LATERAL (
      SELECT c.position FROM log.events c
      WHERE (c.type, c.position) ${beyond} (wanted.type, $1::bigint)
        AND (c.type, c.position) ${within} (wanted.type, $2::bigint)${prefix}
      ORDER BY c.type ${order}, c.position ${order} LIMIT $3
    ) found ORDER BY found.position ${order} LIMIT $3`;
}

/**
 * One page of events whose stored names begin with `filter.streamPrefixes`: in each row the head of the log as this snapshot has it, then an event of the range, in order (a join
 * with one row on its left keeps the order of the right); without an event one row with the head alone. Events that
 * retention hides, and those beyond the bytes of a page, come without their data: the caller must know of them to know
 * how far the page looked.
 */
export function readAllQuery({ after, upTo, direction }: LogRange, filter: EventFilter, limit: number): Query {
  const forwards = direction === 'forwards';
  const order = forwards ? 'ASC' : 'DESC';
  const values: unknown[] = [after, upTo, limit, PAGE_BYTES];
  const lists: { types?: string; prefixes?: string } = {};
  if (filter.types) lists.types = `$${values.push(filter.types)}::text[]`;
  if (filter.streamPrefixes) lists.prefixes = `$${values.push(filter.streamPrefixes)}::text[]`;
  const text = `SELECT h.position::text, p.position, p.stream, p.revision, p.id, p.type, p.created,
      CASE WHEN p.state IS NULL THEN p.data END, p.metadata, p.state
    FROM log.head h LEFT JOIN LATERAL (
      SELECT ${COLUMNS}, CASE WHEN e.revision < r.before THEN 'hidden' WHEN $4::bigint <=
        sum(octet_length(e.data) + octet_length(e.metadata)) OVER (ORDER BY e.position ${order})
          - octet_length(e.data) - octet_length(e.metadata) THEN 'cut' END
      FROM (${candidates(lists, forwards)}) page
      JOIN log.events e ON e.position = page.position
      LEFT JOIN log.retention r ON r.stream = e.stream
      ORDER BY e.position ${order}
    ) p (position, stream, revision, id, type, created, data, metadata, state) ON true`;
  const shape = `${lists.types ? '-types' : ''}${lists.prefixes ? '-prefixes' : ''}`;
  return { name: `log-all-${direction}${shape}`, text, values };
}

/** As {@link readAllQuery} asks for it. Without an event all but the head is null. */
export type PageRow = readonly [head: string, ...event: EventRow, state: 'hidden' | 'cut' | null];

export interface Page {
  readonly head: bigint;
  readonly events: readonly RecordedEvent[];
  /** Of the last event that was looked at; `undefined` if there was none. */
  readonly last: bigint | undefined;
  /** Whether there may be more in the range. */
  readonly full: boolean;
}

export function decodePage(names: StreamNames, rows: readonly PageRow[], limit: number): Page {
  const events: RecordedEvent[] = [];
  const head = BigInt(rows[0]![0]);
  let last: bigint | undefined;
  for (const [, ...row] of rows) {
    const state = row[8];
    if ((row[0] as string | null) === null) return { head, events, last, full: false };
    if (state === 'cut') return { head, events, last, full: true };
    last = BigInt(row[0]);
    if (state !== 'hidden') events.push(recordedEvent(names, row.slice(0, 8) as unknown as EventRow));
  }
  return { head, events, last, full: rows.length >= limit };
}
