import type { RowsOfProjection, ViewTransaction } from '#libs/event-store/src/subscriber.js';

/** A row that a rebuild makes otherwise than it is. */
export interface DifferingRow {
  readonly table: string;
  /** Its key, such as `id=rul_1`. */
  readonly key: string;
  /** `missing`: there is none; `surplus`: the log does not make it. */
  readonly kind: 'changed' | 'missing' | 'surplus';
  /** Columns that differ. */
  readonly columns: readonly string[];
}

type Asks = Pick<ViewTransaction, 'query'>;

/** Tables like those of a projection, in a schema of their own, and how they take the place of the live ones. */
export class TablesBeside {
  /** @param schema a plain name */
  constructor(
    private readonly rows: RowsOfProjection,
    private readonly schema: string,
  ) {}

  /** Empty ones, with the names and keys of the live ones. What was there before is dropped. */
  async create(tx: Asks): Promise<void> {
    await this.drop(tx);
    await tx.query(`create schema ${this.schema}`);
    for (const table of [...this.rows.tables, ...(this.rows.alsoWrites ?? [])]) {
      await tx.query(`create table ${this.schema}.${table} (like views.${table} including all excluding indexes)`);
      const [live] = await tx.query<{ options: string | null }[]>(
        `select array_to_string(reloptions, ', ') as options from pg_class where oid = $1::regclass`,
        [`views.${table}`],
      );
      if (live?.options) await tx.query(`alter table ${this.schema}.${table} set (${live.options})`);
      for (const { name, definition } of await constraintsOf(tx, table))
        await tx.query(`alter table ${this.schema}.${table} add constraint ${name} ${definition}`);
    }
    await this.index(tx, this.rows.onlyInserts === true ? 'unique' : 'all');
  }

  /** The indexes that are not there yet. */
  async index(tx: Asks, which: 'unique' | 'all' = 'all'): Promise<void> {
    for (const table of this.rows.tables)
      for (const { definition, unique } of await indexesOf(tx, table))
        if (unique || which === 'all')
          await tx.query(
            definition
              .replace(/^CREATE (UNIQUE )?INDEX /, 'CREATE $1INDEX IF NOT EXISTS ')
              .replace(` ON views.${table} `, ` ON ${this.schema}.${table} `),
          );
    if (which === 'all') for (const table of this.rows.tables) await tx.query(`analyze ${this.schema}.${table}`);
  }

  /** A transaction whose statements for the live tables reach those beside them. Nothing else than rows comes of it. */
  redirect(tx: ViewTransaction): ViewTransaction {
    const allowed = new Set([...this.rows.tables, ...(this.rows.alsoWrites ?? [])]);
    const beside = (sql: string): string =>
      sql.replace(/\bviews\.(\w+)/g, (_, table: string) => {
        if (!allowed.has(table))
          throw new Error(`a rebuild does not touch views.${table}: the projection must name it`);
        return `${this.schema}.${table}`;
      });
    return {
      query: (sql, values) => tx.query(beside(sql), values),
      write: (sql, values, answered) => tx.write(beside(sql), values, answered),
      onEnd: () => undefined,
      endure: () => undefined,
    };
  }

  /** Nobody reads or writes the live tables until the transaction ends. */
  async lock(tx: Asks): Promise<void> {
    await tx.query(
      `lock table ${this.rows.tables.map((table) => `views.${table}`).join(', ')} in access exclusive mode`,
    );
  }

  /** These take the place of the live ones, which are dropped. Call {@link lock} first. */
  async swap(tx: Asks): Promise<void> {
    for (const table of this.rows.tables) {
      await tx.query(`drop table views.${table}`);
      await tx.query(`alter table ${this.schema}.${table} set schema views`);
    }
    await this.drop(tx);
  }

  /** Rows of the live tables that differ from these, at most so many, and their number. */
  async differences(
    tx: Asks,
    most: number,
  ): Promise<{ readonly count: number; readonly rows: readonly DifferingRow[] }> {
    const { tables, numbered = [] } = this.rows;
    const found: DifferingRow[] = [];
    let count = 0;
    for (const table of tables.filter((name) => !numbered.includes(name))) {
      const columns = await columnsOf(tx, table);
      const keys = columns.filter(({ isKey }) => isKey).map(({ name }) => name);
      const compared = columns.map(({ name }) => name).filter((name) => !numbered.includes(bare(name)));
      const on = keys.map((key) => `l.${key} = b.${key}`).join(' and ');
      const differs = (column: string): string => `l.${column}::text is distinct from b.${column}::text`;
      const rows = await tx.query<
        (Record<string, string | null> & { kind: DifferingRow['kind']; columns: string[]; total: string })[]
      >(
        `select ${keys.map((key, place) => `coalesce(l.${key}, b.${key})::text as key_${place}`).join(', ')},
                case when l.${keys[0]!} is null then 'missing' when b.${keys[0]!} is null then 'surplus' else 'changed' end as kind,
                array_remove(array[${compared.map((column) => `case when ${differs(column)} then '${bare(column)}' end`).join(', ')}], null) as columns,
                count(*) over () as total
           from views.${table} l full join ${this.schema}.${table} b on ${on}
          where ${compared.map(differs).join(' or ')}
          order by ${keys.map((_, index) => index + 1).join(', ')} limit ${most}`,
      );
      count += Number(rows[0]?.total ?? 0);
      for (const row of rows.slice(0, most - found.length)) {
        const key = keys.map((name, place) => `${bare(name)}=${row[`key_${place}`]}`).join(', ');
        found.push({ table, key, kind: row.kind, columns: row.kind === 'changed' ? row.columns : [] });
      }
    }
    return { count, rows: found };
  }

  async drop(tx: Asks): Promise<void> {
    await tx.query(`drop schema if exists ${this.schema} cascade`);
  }
}

/** Without the quotes that a keyword needs. */
const bare = (name: string): string => name.replaceAll('"', '');

const constraintsOf = (tx: Asks, table: string) =>
  tx.query<{ name: string; definition: string }[]>(
    `select quote_ident(conname) as name, pg_get_constraintdef(oid) as definition from pg_constraint
      where conrelid = $1::regclass and contype in ('p', 'u', 'x')`,
    [`views.${table}`],
  );

const indexesOf = (tx: Asks, table: string) =>
  tx.query<{ definition: string; unique: boolean }[]>(
    `select pg_get_indexdef(indexrelid) as definition, indisunique as unique from pg_index
      where indrelid = $1::regclass and not exists (select from pg_constraint where conindid = indexrelid)`,
    [`views.${table}`],
  );

const columnsOf = (tx: Asks, table: string) =>
  tx.query<{ name: string; isKey: boolean }[]>(
    `select quote_ident(attname) as name, coalesce(attnum = any(indkey), false) as "isKey"
       from pg_attribute left join pg_index on indrelid = attrelid and indisprimary
      where attrelid = $1::regclass and attnum > 0 and not attisdropped order by attnum`,
    [`views.${table}`],
  );
