import pg from 'pg';

import type { AllPage, EventFilter, ReadAllOptions, ReadStreamOptions, RecordedEvent } from '../../event-store.js';
import type { StreamNames } from '../../names/stream-names.js';
import {
  asTheyAre,
  decodePage,
  type Direction,
  type EventRow,
  MAX_BIGINT,
  type PageRow,
  type Query,
  readAllQuery,
  readStreamQuery,
  recordedEvent,
} from './read-sql.js';
import { SESSION_OPTIONS } from './schema.js';
import { isPassing, unavailable } from './unavailable.js';

/** Longest wait for a page, and for a sign of life. */
const PAGE_MS = 10_000;
const PING_MS = 2_500;
/** Positions that a page with a prefix filter looks through at most. */
const PREFIX_WINDOW = 20_000n;

const matchesNothing = ({ types, streamPrefixes }: EventFilter): boolean =>
  types?.length === 0 || streamPrefixes?.length === 0;

/** Everything that is read, over a small pool. */
export class Reader {
  private readonly pool: pg.Pool;

  constructor(
    connectionString: string,
    maxConnections: number,
    private readonly names: StreamNames,
  ) {
    this.pool = new pg.Pool({
      connectionString,
      application_name: 'millrace log reader',
      max: maxConnections,
      connectionTimeoutMillis: PING_MS,
      idleTimeoutMillis: 60_000,
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
      options: SESSION_OPTIONS,
    });
    // An idle connection that breaks is replaced at the next use.
    this.pool.on('error', () => undefined);
  }

  async readStream(
    stream: string,
    { from, direction = 'forwards', limit = 1000 }: ReadStreamOptions,
  ): Promise<RecordedEvent[]> {
    const query = readStreamQuery(this.names.stored(stream), from, direction, limit);
    return (await this.rows<EventRow>(query)).map((row) => recordedEvent(this.names, row));
  }

  async readAll({ from, after, direction = 'forwards', filter = {}, limit }: ReadAllOptions): Promise<AllPage> {
    return direction === 'forwards'
      ? this.forwards(after ?? (from === undefined ? 0n : from - 1n), MAX_BIGINT, filter, limit)
      : this.backwards(after ?? (from === undefined ? MAX_BIGINT : from + 1n), filter, limit);
  }

  /** A page of `(after, upTo]`. */
  async forwards(after: bigint, upTo: bigint, filter: EventFilter, limit: number): Promise<AllPage> {
    if (matchesNothing(filter)) {
      const head = await this.head();
      return { events: [], position: head > after ? head : after, end: true };
    }
    const window = filter.streamPrefixes ? after + PREFIX_WINDOW : MAX_BIGINT;
    const bound = window < upTo ? window : upTo;
    const page = await this.page('forwards', after, bound, filter, limit);
    const { events, head } = page;
    if (page.full) return { events, position: page.last!, end: page.last! >= head };
    const seen = head < bound ? head : bound;
    return { events, position: seen > after ? seen : after, end: seen >= head };
  }

  async head(): Promise<bigint> {
    const [row] = await this.rows<[string]>(
      { name: 'log-head', text: 'SELECT position::text FROM log.head', values: [] },
      PING_MS,
    );
    return BigInt(row![0]);
  }

  /**
   * Hides what is before `revision`. What is hidden is removed too; of the newest event the contents alone, since it holds
   * the revision at which the stream goes on.
   */
  async truncateBefore(stream: string, revision: bigint, channel: string): Promise<void> {
    await this.rows({
      name: 'log-truncate',
      text: `WITH last AS (SELECT max(revision) AS revision FROM log.events WHERE stream = $1),
        hidden AS (
          INSERT INTO log.retention (stream, before) SELECT $1, least($2::bigint, last.revision + 1) FROM last
          WHERE last.revision IS NOT NULL
          ON CONFLICT (stream) DO UPDATE SET before = greatest(retention.before, excluded.before)
        ), removed AS (
          DELETE FROM log.events e USING last WHERE e.stream = $1 AND e.revision < least($2::bigint, last.revision)
        ), emptied AS (
          UPDATE log.events e SET data = '', metadata = '' FROM last
          WHERE e.stream = $1 AND e.revision = last.revision AND $2::bigint > last.revision
        )
        SELECT pg_notify($3, '')`,
      values: [this.names.stored(stream), revision, channel],
    });
  }

  async truncatedBefore(stream: string): Promise<bigint> {
    const text = 'SELECT before::text FROM log.retention WHERE stream = $1';
    const [row] = await this.rows<[string]>({ name: 'log-truncated', text, values: [this.names.stored(stream)] });
    return row ? BigInt(row[0]) : 0n;
  }

  /** Statistics, without which plans for the first hundred thousand events stay those for ten. */
  async analyze(): Promise<void> {
    await this.pool.query('ANALYZE log.events');
  }

  async close(): Promise<void> {
    // Connections that are in use are waited for; each query has its own end.
    await this.pool.end().catch(() => undefined);
  }

  private async backwards(before: bigint, filter: EventFilter, limit: number): Promise<AllPage> {
    if (matchesNothing(filter)) return { events: [], position: 0n, end: true };
    const top = before === MAX_BIGINT && filter.streamPrefixes ? (await this.head()) + 1n : before;
    const window = filter.streamPrefixes ? top - PREFIX_WINDOW : 0n;
    const bound = window > 0n ? window : 0n;
    const { events, last, full } = await this.page('backwards', top, bound, filter, limit);
    if (full) return { events, position: last!, end: last! <= 1n };
    return { events, position: bound, end: bound === 0n };
  }

  private async page(direction: Direction, after: bigint, upTo: bigint, filter: EventFilter, limit: number) {
    const { types, streamPrefixes } = filter;
    const stored = {
      ...(types && { types }),
      ...(streamPrefixes && { streamPrefixes: streamPrefixes.map((prefix) => this.names.stored(prefix)) }),
    };
    const query = readAllQuery({ after, upTo, direction }, stored, limit);
    return decodePage(this.names, await this.rows<PageRow>(query), limit);
  }

  private async rows<Row>(query: Query, milliseconds = PAGE_MS): Promise<Row[]> {
    try {
      const config = { ...query, rowMode: 'array', binary: true, types: asTheyAre, query_timeout: milliseconds };
      return (await this.pool.query(config as unknown as pg.QueryConfig)).rows as Row[];
    } catch (error) {
      throw isPassing(error) ? unavailable(error) : error;
    }
  }
}
