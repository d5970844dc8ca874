import pg from 'pg';

import { PostgresEventStore } from '#libs/event-store/src/adapters/postgres/postgres-event-store.adapter.js';
import type { EventToAppend, RecordedEvent } from '#libs/event-store/src/event-store.js';
import { publicId, uuid7, type Uuid } from '#libs/kernel/src/ids.js';

/** Tables whose rows are copied along with their events. */
const VIEWS = ['events', 'deliveries', 'decisions', 'event_verdicts', 'runs'];
/** Columns with public ids that every copy has anew. Configuration (`rule_id`, `webhook_id` …) stays. */
const COPIED_IDS = ['id', 'root_id', 'event_id'];

export interface Growth {
  /** Copy the events after this position. */
  readonly after: number;
  /** Events in the log afterwards. */
  readonly events: number;
  /** Rows in each table of views afterwards, at least. */
  readonly rows: number;
}

/**
 * Enlarges a log in SQL by copying what the server recorded, together with the rows that its projections wrote, with new
 * streams and ids, and times a second apart from copy to copy. The server must not run. The bodies of the copies still contain
 * the old ids: the views cannot be rebuilt from them.
 * @returns how many rows each table of views then has.
 */
export async function growLog(url: string, { after, events, rows }: Growth): Promise<Readonly<Record<string, number>>> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const one = async (sql: string): Promise<number> =>
      Number((await client.query<{ count: string }>(sql)).rows[0]!.count);
    const head = await one('select position as count from log.head');
    const story = head - after;
    if (story <= 0) throw new Error('there are no events to copy');
    const copies = Math.max(0, Math.ceil((events - head) / story));
    await client.query(await copyStatement(client, 'log.events', after, story, copies));
    const end = head + copies * story;
    for (const name of VIEWS) {
      const table = `views.${name}`;
      const where = name === 'runs' ? '' : `where position > ${after}`;
      const found = await one(`select count(*) as count from ${table} ${where}`);
      // The index of events has one row per event; the other tables get as many as requested.
      const wanted = name === 'events' || found === 0 ? copies : Math.max(copies, Math.ceil((rows - found) / found));
      await client.query(await copyStatement(client, table, after, story, wanted, end - after));
    }
    await client.query(`update log.head set position = ${end}`);
    await client.query(`update views.checkpoints set position = ${end} where position >= ${head}`);
    await client.query('vacuum analyze');
    await client.query('checkpoint');
    const counts: Record<string, number> = {};
    for (const name of VIEWS) counts[name] = await one(`select count(*) as count from views.${name}`);
    return counts;
  } finally {
    await client.end();
  }
}

interface Column {
  readonly name: string;
  readonly type: string;
}

const columnsOf = async (client: pg.Client, table: string): Promise<readonly Column[]> =>
  (
    await client.query<Column>(
      `select column_name as name, data_type as type from information_schema.columns
        where table_schema || '.' || table_name = $1 and is_identity = 'NO' order by ordinal_position`,
      [table],
    )
  ).rows;

/** One statement that inserts copies 1 to n of the rows of a table; `span` keeps their positions inside the log. */
async function copyStatement(
  client: pg.Client,
  table: string,
  after: number,
  story: number,
  copies: number,
  span = Number.MAX_SAFE_INTEGER,
): Promise<string> {
  const columns = await columnsOf(client, table);
  const copied = ({ name, type }: Column): string => {
    const column = `t.${name}`;
    if (name === 'position') return `${after} + 1 + (${column} - ${after + 1} + n::bigint * ${story}) % ${span}`;
    if (type === 'uuid') return `md5(${column} || ':' || n)::uuid`;
    if (type === 'timestamp with time zone') return `${column} - (${copies} - n) * interval '1 second'`;
    if (/(^|_)stream$/.test(name)) return `left(${column}, strpos(${column}, '-')) || md5(${column} || ':' || n)`;
    if (COPIED_IDS.includes(name))
      return `left(${column}, strpos(${column}, '_')) || left(md5(${column} || ':' || n), 26)`;
    return column;
  };
  const isPlaced = columns.some(({ name }) => name === 'position');
  return `insert into ${table} (${columns.map(({ name }) => name).join(', ')})
    select ${columns.map(copied).join(', ')} from generate_series(1, ${copies}) n cross join ${table} t
     ${isPlaced ? `where t.position > ${after} and t.position <= ${after + story} order by n, t.position` : ''}`;
}

export interface CopyOptions {
  /** Other texts to replace. */
  readonly replace?: ReadonlyMap<string, string>;
  /** Types of events to leave out. */
  readonly without?: readonly string[];
}

/**
 * Appends copies of one stream through the port of the log, so that projections write their rows. The id in the stream's name
 * (`<prefix>_…`) and the ids of its events are new in every copy. @returns the new ids.
 */
export async function copyStream(
  url: string,
  stream: string,
  copies: number,
  { replace = new Map(), without = [] }: CopyOptions = {},
): Promise<readonly string[]> {
  const store = await PostgresEventStore.open({ connectionString: url });
  try {
    const events = (await store.readStream(stream)).filter(({ type }) => !without.includes(type));
    const own = stream.slice(stream.indexOf('-') + 1);
    const prefix = own.slice(0, own.indexOf('_')) as Parameters<typeof publicId>[0];
    const ids: string[] = [];
    for (let n = 0; n < copies; n += 500)
      await Promise.all(
        Array.from({ length: Math.min(500, copies - n) }, async () => {
          const id = publicId(prefix, uuid7());
          ids.push(id);
          const texts = new Map([...replace, [own, id], ...events.map((event) => [event.id, uuid7()] as [Uuid, Uuid])]);
          await store.append(stream.replace(own, id), copiesOf(events, texts), 'no-stream');
        }),
      );
    return ids;
  } finally {
    await store.close();
  }
}

function copiesOf(events: readonly RecordedEvent[], texts: ReadonlyMap<string, string>): EventToAppend[] {
  const replaced = (text: string): string => {
    let result = text;
    for (const [old, fresh] of texts) result = result.replaceAll(old, fresh);
    return result;
  };
  return events.map(({ id, type, dataJson, metadata }) => ({
    id: texts.get(id)!,
    type,
    data: replaced(dataJson),
    metadata: replaced(JSON.stringify(metadata)),
  }));
}
