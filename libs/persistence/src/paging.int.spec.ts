import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Column, type DataSource, Entity, PrimaryColumn } from 'typeorm';

import { createTestDatabase, type TestDatabase } from '../../../test/support/database.js';
import { openDataSource } from './data-source.adapter.js';
import { readPage, type SortKey } from './paging.js';

@Entity({ schema: 'views', name: 'letters' })
class LetterView {
  @PrimaryColumn('text')
  id!: string;
  @Column('text')
  box!: string;
  @Column('bigint', { name: 'at_position' })
  position!: string;
  @Column('timestamptz', { name: 'sent_at' })
  sentAt!: Date;
}

describe('pages of rows', () => {
  let testDatabase: TestDatabase;
  let database: DataSource;
  beforeAll(async () => {
    testDatabase = await createTestDatabase();
    database = await openDataSource({ url: testDatabase.url, poolSize: 2, entities: [LetterView] });
    await database.query(`
      create table views.letters (id text primary key, box text, at_position bigint, sent_at timestamptz);
      insert into views.letters
        select 'l' || lpad(n::text, 2, '0'), case when n % 3 = 0 then 'out' else 'in' end, 9007199254740990 + n,
               timestamptz '2026-11-20T12:00:00Z' + (n / 4) * interval '1 ms'
          from generate_series(1, 20) n`);
  });
  afterAll(async () => {
    await database?.destroy();
    await testDatabase?.drop();
  });

  const inBox = () =>
    database.getRepository(LetterView).createQueryBuilder('letter').where('letter.box = :box', { box: 'in' });
  const asked = (limit: string, cursor?: string) => ({ limit, cursor });
  const all = ['01', '02', '04', '05', '07', '08', '10', '11', '13', '14', '16', '17', '19', '20'].map((n) => `l${n}`);

  it.each<[string, SortKey<LetterView>]>([
    ['their id', { id: 'text' }],
    ['a number beyond 2^53', { position: 'number' }],
    ['a time that several share, and their id', { sentAt: 'time', id: 'text' }],
  ])('come each once in the order of %s, from either end', async (_, sort) => {
    for (const direction of ['ASC', 'DESC'] as const) {
      const seen: string[] = [];
      let cursor: string | null | undefined;
      do {
        const page = await readPage(inBox(), asked('3', cursor ?? undefined), sort, direction);
        seen.push(...page.rows.map(({ id }) => id));
        cursor = page.nextCursor;
      } while (cursor !== null);
      expect(seen).toEqual(direction === 'ASC' ? all : all.toReversed());
    }
  });

  it.each([
    [['x'], { position: 'number' }],
    [['9223372036854775808'], { position: 'number' }],
    [['-1'], { position: 'number' }],
    [['yesterday', 'l01'], { sentAt: 'time', id: 'text' }],
    [['+275760-09-13T00:00:00.000Z', 'l01'], { sentAt: 'time', id: 'text' }],
    [['a\0'], { id: 'text' }],
    [['\ud800'], { id: 'text' }],
    [['l01', 'l02'], { id: 'text' }],
  ] as const)('are refused where the cursor says %j', async (key, sort) => {
    const cursor = Buffer.from(JSON.stringify(key)).toString('base64url');
    await expect(readPage(inBox(), asked('3', cursor), sort)).rejects.toMatchObject({ code: 'list.bad_cursor' });
  });
});
