/**
 * Tables of the log, in a schema of their own (`log`), apart from the views. Versions are applied in order under an
 * advisory lock and never edited once released.
 *
 * - `events.data` and `metadata` are bytes, so that what was appended comes back exactly. They are kept in the row, not
 *   compressed, as long as a row fits a page: compressing costs more than all the rest of an append.
 * - `head` is the one row that every writer locks: positions handed out under it have no gaps and are committed in
 *   order, so that a reader that has seen n has seen everything before n.
 * - `retention` hides the beginning of streams.
 * - `prefix` is what the names of all streams begin with, once the log is in use.
 */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE log.events (
    position bigint PRIMARY KEY,
    stream text COLLATE "C" NOT NULL,
    revision bigint NOT NULL,
    id uuid NOT NULL,
    type text COLLATE "C" NOT NULL,
    created timestamptz NOT NULL,
    data bytea STORAGE EXTERNAL NOT NULL,
    metadata bytea STORAGE EXTERNAL NOT NULL
  ) WITH (toast_tuple_target = 8160);
  CREATE UNIQUE INDEX events_by_stream ON log.events (stream, revision);
  CREATE INDEX events_by_type ON log.events (type, position);

  CREATE TABLE log.head (single boolean PRIMARY KEY DEFAULT true CHECK (single), position bigint NOT NULL);
  INSERT INTO log.head (position) VALUES (0);

  CREATE TABLE log.retention (stream text COLLATE "C" PRIMARY KEY, before bigint NOT NULL);

  CREATE FUNCTION log.append(
    streams text[], expectations bigint[], counts int[],
    ids uuid[], kinds int[], types text[], ends int[], payload bytea,
    OUT outcomes int[], OUT revisions bigint[], OUT positions bigint[], OUT created bigint
  ) LANGUAGE plpgsql AS $$
  DECLARE
    base bigint;
    moment timestamptz;
    total bigint;
  BEGIN
    -- A statement of its own: each statement here has a snapshot of its own, and the next one must see all that was
    -- committed before this lock was granted.
    SELECT h.position INTO STRICT base FROM log.head h FOR UPDATE;
    moment := date_trunc('milliseconds', clock_timestamp());

    WITH request AS MATERIALIZED (
      SELECT r.*, last.revision AS last,
        -- Where the events of an earlier, identical append would begin.
        CASE WHEN r.expected >= -1 THEN r.expected + 1 ELSE coalesce(last.revision, -1) + 1 - r.count END AS first
      FROM (
        SELECT u.*, (sum(u.count) OVER (ORDER BY u.n) - u.count)::int AS preceding
        FROM unnest(streams, expectations, counts) WITH ORDINALITY u (stream, expected, count, n)
      ) r
      LEFT JOIN LATERAL (
        SELECT e.revision FROM log.events e WHERE e.stream = r.stream ORDER BY e.revision DESC LIMIT 1
      ) last ON true
    ), judged AS MATERIALIZED (
      SELECT q.*,
        CASE
          WHEN q.expected >= -1 AND q.expected = coalesce(q.last, -1) THEN 0
          WHEN q.first >= 0 AND q.first + q.count - 1 <= q.last AND q.count = (
            SELECT count(*) FROM log.events e
            WHERE e.stream = q.stream AND e.revision BETWEEN q.first AND q.first + q.count - 1
              AND e.id = ids[q.preceding + 1 + (e.revision - q.first)::int]
          ) THEN 1
          WHEN q.expected = -3 OR (q.expected = -2 AND q.last IS NOT NULL) THEN 0
          ELSE 2
        END AS outcome
      FROM request q
    ), placed AS MATERIALIZED (
      SELECT j.*, base + coalesce(sum(j.count) FILTER (WHERE j.outcome = 0) OVER (ORDER BY j.n), 0) AS place
      FROM judged j
    ), appended AS (
      INSERT INTO log.events (position, stream, revision, id, type, created, data, metadata)
      SELECT p.place - p.count + i, p.stream, coalesce(p.last, -1) + i, ids[at.n], types[kinds[at.n]], moment,
        substring(payload FROM ends[2 * at.n - 1] + 1 FOR ends[2 * at.n] - ends[2 * at.n - 1]),
        substring(payload FROM ends[2 * at.n] + 1 FOR ends[2 * at.n + 1] - ends[2 * at.n])
      FROM placed p
      CROSS JOIN LATERAL generate_series(1, p.count) i
      CROSS JOIN LATERAL (SELECT p.preceding + i AS n) at
      WHERE p.outcome = 0
    )
    SELECT
      array_agg(p.outcome ORDER BY p.n),
      array_agg(CASE p.outcome
        WHEN 0 THEN coalesce(p.last, -1) + p.count
        WHEN 1 THEN p.first + p.count - 1
        ELSE coalesce(p.last, -1) END ORDER BY p.n),
      array_agg(CASE p.outcome
        WHEN 0 THEN p.place
        WHEN 1 THEN (SELECT e.position FROM log.events e
          WHERE e.stream = p.stream AND e.revision = p.first + p.count - 1)
        ELSE 0 END ORDER BY p.n),
      coalesce(sum(p.count) FILTER (WHERE p.outcome = 0), 0)
    INTO outcomes, revisions, positions, total
    FROM placed p;

    IF total > 0 THEN
      UPDATE log.head h SET position = base + total;
      PERFORM pg_notify('millrace_log', (base + total)::text);
    END IF;
    created := (date_part('epoch', moment) * 1000)::bigint;
  END $$;
  `,
  // A process of the version before knows nothing of prefixes: under another name its appends fail instead of going to
  // streams that nobody reads.
  `
  CREATE TABLE log.prefix (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    prefix text COLLATE "C" NOT NULL
  );
  ALTER FUNCTION log.append RENAME TO append_prefixed;
  `,
];

/** Carries the new head, or nothing where retention has changed. */
export const CHANNEL = 'millrace_log';

/** Any number, as long as nothing else in the database locks by it. */
export const MIGRATION_LOCK = 7_252_110_231;

/**
 * For every session, given as it starts. Plans are made once and kept; made on the day the log is new, without
 * statistics, they would be right for ten rows and wrong ever after. All statements here are meant to walk an index.
 */
export const SESSION_OPTIONS = ['jit', 'enable_seqscan', 'enable_hashjoin', 'enable_mergejoin', 'enable_bitmapscan']
  .map((setting) => `-c ${setting}=off`)
  .join(' ');
