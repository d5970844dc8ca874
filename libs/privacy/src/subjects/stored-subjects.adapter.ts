import type { DataSource } from 'typeorm';

import type { SubjectAnswer } from '#libs/events/src/personal/subject-shape.js';
import { type AskedPage, type Page, pageOf, pagingOf } from '#libs/kernel/src/paging.js';

import { subjectIdOf } from './subject-id.js';

interface Row {
  readonly subject: string;
  readonly created_at: Date;
  readonly erased_at: Date | null;
  readonly in_use: boolean;
}

const OF_SUBJECTS = `select subject, min(created_at) as created_at, max(erased_at) as erased_at,
         bool_or(erased_at is null) as in_use
    from views.subject_keys`;

/** People as they are stored: hashes, and the names of their keys. */
export class StoredSubjects {
  constructor(private readonly database: DataSource) {}

  async page(orgId: string, asked: AskedPage): Promise<Page<SubjectAnswer>> {
    const paging = pagingOf(asked.limit, asked.cursor, ['text']);
    const rows = await this.database.query<Row[]>(
      `${OF_SUBJECTS} where org_id = $1 and subject > $2
        group by subject order by subject limit $3`,
      [orgId, paging.after?.[0] ?? '', paging.limit + 1],
    );
    return pageOf(rows, paging, ({ subject }) => [subject], answerOf);
  }

  async find(orgId: string, hash: string): Promise<SubjectAnswer | undefined> {
    const [row] = await this.database.query<Row[]>(
      `${OF_SUBJECTS} where org_id = $1 and subject = $2 group by subject`,
      [orgId, hash],
    );
    return row && answerOf(row);
  }

  /** Names of the keys of a person, those that are destroyed last. */
  async keysOf(orgId: string, hash: string): Promise<readonly { readonly name: string; readonly inUse: boolean }[]> {
    return this.database.query<{ name: string; inUse: boolean }[]>(
      `select name, erased_at is null as "inUse" from views.subject_keys
        where org_id = $1 and subject = $2 order by erased_at is not null, name`,
      [orgId, hash],
    );
  }
}

const answerOf = ({ subject, created_at, erased_at, in_use }: Row): SubjectAnswer => ({
  id: subjectIdOf(subject),
  state: in_use ? 'active' : 'erased',
  createdAt: created_at.toISOString(),
  erasedAt: erased_at?.toISOString() ?? null,
});
