import pg from 'pg';

import { DEFAULT_ORG } from '#libs/events/src/envelope.js';
import { followers } from '#libs/events/src/followers.js';

/** SQL for the columns of a table; `n` counts its rows from 1. The others are filled by their type, or are null. */
export type Fill = Readonly<Record<string, Readonly<Record<string, string>>>>;

const BY_TYPE: Readonly<Record<string, (column: string) => string>> = {
  text: (column) => `'${column}-' || n`,
  uuid: (column) => `md5('${column}' || n)::uuid`,
  bigint: () => 'n',
  integer: () => '1',
  smallint: () => '0',
  'timestamp with time zone': () => `now() - (100000 - n) * interval '1 second'`,
  json: () => `'{}'`,
  jsonb: () => `'{}'`,
  boolean: () => 'false',
  bytea: () => `'{}'`,
  ARRAY: () => `'{}'`,
};

/** Gives each table as many rows, in SQL, and moves all subscribers behind them: as if they had been projected long ago. */
export async function fillTables(url: string, fill: Fill, rows: number): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    for (const [table, given] of Object.entries(fill)) {
      const { rows: columns } = await client.query<{ name: string; type: string; optional: boolean }>(
        `select column_name as name, data_type as type, is_nullable = 'YES' or column_default is not null as optional
           from information_schema.columns where table_schema || '.' || table_name = $1 and is_identity = 'NO'`,
        [table],
      );
      const values = columns.flatMap(({ name, type, optional }): [string, string][] => {
        const sql =
          given[name] ?? (optional ? undefined : name === 'org_id' ? `'${DEFAULT_ORG}'` : BY_TYPE[type]!(name));
        return sql === undefined ? [] : [[name, sql]];
      });
      await client.query(
        `insert into ${table} (${values.map(([name]) => name).join(', ')})
         select ${values.map(([, sql]) => sql).join(', ')} from generate_series(1, ${rows}) n`,
      );
    }
    await client.query('update log.head set position = $1', [rows]);
    await client.query('insert into views.checkpoints (name, position) select unnest($1::text[]), $2', [
      Object.values(followers),
      rows,
    ]);
    await client.query('vacuum analyze');
  } finally {
    await client.end();
  }
}
