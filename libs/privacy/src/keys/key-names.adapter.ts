import type { DataSource } from 'typeorm';

import { KeyNames } from './subject-keys.js';

interface Row {
  readonly subject: string;
  readonly name: string;
}

const bySubject = (rows: readonly Row[]): ReadonlyMap<string, string> =>
  new Map(rows.map(({ subject, name }) => [subject, name]));

/** Names of keys in PostgreSQL. */
export class PostgresKeyNames extends KeyNames {
  constructor(private readonly database: DataSource) {
    super();
  }

  async claim(orgId: string, offered: ReadonlyMap<string, string>): Promise<ReadonlyMap<string, string>> {
    await this.database.query(
      `insert into views.subject_keys (name, org_id, subject)
       select name, $1, subject from unnest($2::text[], $3::text[]) as g (subject, name)
       on conflict (org_id, subject) where erased_at is null do nothing`,
      [orgId, [...offered.keys()], [...offered.values()]],
    );
    // Its own statement: it sees what another process has stored meanwhile.
    return this.inUse(orgId, [...offered.keys()]);
  }

  async retire(names: readonly string[]): Promise<void> {
    await this.database.query(
      'update views.subject_keys set erased_at = now() where name = any($1::text[]) and erased_at is null',
      [names],
    );
  }

  async inUse(orgId: string, subjects: readonly string[]): Promise<ReadonlyMap<string, string>> {
    return bySubject(
      await this.database.query<Row[]>(
        `select subject, name from views.subject_keys
          where org_id = $1 and subject = any($2::text[]) and erased_at is null`,
        [orgId, subjects],
      ),
    );
  }

  async ofOrganisation(orgId: string, names: readonly string[]): Promise<readonly string[]> {
    const rows = await this.database.query<{ name: string }[]>(
      'select name from views.subject_keys where org_id = $1 and name = any($2::text[])',
      [orgId, names],
    );
    return rows.map(({ name }) => name);
  }
}
