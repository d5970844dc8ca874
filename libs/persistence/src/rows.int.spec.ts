import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Column, type DataSource, Entity, PrimaryColumn } from 'typeorm';

import { storable } from '#libs/kernel/src/text/text.js';

import { createTestDatabase, type TestDatabase } from '../../../test/support/database.js';
import { openDataSource } from './data-source.adapter.js';
import { loadRows, removeRows, type RowOf, upsertRows } from './rows.adapter.js';

@Entity({ schema: 'views', name: 'things' })
class ThingView {
  @PrimaryColumn('text', { name: 'org_id' })
  orgId!: string;
  @PrimaryColumn('integer')
  number!: number;
  @Column('text', { name: 'long_name', nullable: true })
  longName!: string | null;
  @Column('bigint')
  position!: string;
  @Column('boolean')
  open!: boolean;
  @Column('json', { nullable: true })
  exact!: unknown;
  @Column('jsonb')
  labels!: unknown;
  @Column('timestamptz', { name: 'happened_at', nullable: true })
  happenedAt!: Date | null;
}

@Entity({ schema: 'views', name: 'places' })
class PlaceView {
  @PrimaryColumn('uuid')
  id!: string;
  @Column('text')
  name!: string;
}

const thing = (number: number, more: Partial<RowOf<ThingView>> = {}): RowOf<ThingView> => ({
  orgId: 'org_1',
  number,
  longName: null,
  position: '9007199254740993',
  open: false,
  exact: null,
  labels: [],
  happenedAt: null,
  ...more,
});
const keyOf = ({ orgId, number }: RowOf<ThingView>) => ({ orgId, number });

describe('rows of an entity', () => {
  let testDatabase: TestDatabase;
  let database: DataSource;
  beforeAll(async () => {
    testDatabase = await createTestDatabase();
    database = await openDataSource({ url: testDatabase.url, poolSize: 2 });
    await database.query(`
      create table views.things (
        org_id text, number integer, long_name text, position bigint not null, open boolean not null, exact json,
        labels jsonb not null, happened_at timestamptz, primary key (org_id, number));
      create table views.places (id uuid primary key, name text not null)`);
  });
  beforeEach(() => database.query('truncate views.things, views.places'));
  afterAll(async () => {
    await database.destroy();
    await testDatabase.drop();
  });
  const load = async (...rows: readonly RowOf<ThingView>[]) =>
    [...(await loadRows(database, ThingView, rows.map(keyOf)))].sort((a, b) => a.number - b.number);

  it('are read as they were written', async () => {
    const rows = [
      thing(1),
      thing(2, {
        longName: `"quoted", \\ {braces} and NULL`,
        open: true,
        exact: { b: [1, null, 'x'], a: 1e21 },
        labels: { deep: [{ text: 'ü 😀' }] },
        happenedAt: '2026-11-20T12:00:00.123Z',
      }),
      thing(3, { longName: '', exact: 'text', labels: 7, happenedAt: new Date(0) }),
    ];
    await upsertRows(database, ThingView, rows);
    expect(await load(...rows)).toEqual([rows[0], rows[1], { ...rows[2], happenedAt: '1970-01-01T00:00:00.000Z' }]);
  });

  it('take the place of those with the same key, or leave them', async () => {
    await upsertRows(database, ThingView, [thing(1), thing(2)]);
    await upsertRows(database, ThingView, [thing(2, { open: true }), thing(3)]);
    expect((await load(thing(1), thing(2), thing(3))).map(({ open }) => open)).toEqual([false, true, false]);
    const again = [thing(3, { open: true }), thing(3, { open: true }), thing(4, { open: true })];
    await upsertRows(database, ThingView, again, { onConflict: 'nothing' });
    expect((await load(thing(3), thing(4))).map(({ open }) => open)).toEqual([false, true]);
  });

  it('are written before and after in one transaction with whatever else', async () => {
    await expect(
      database.transaction(async (tx) => {
        await upsertRows(tx, ThingView, [thing(1)]);
        expect(await loadRows(tx, ThingView, [thing(1)])).toHaveLength(1);
        throw new Error('no');
      }),
    ).rejects.toThrow('no');
    expect(await load(thing(1))).toEqual([]);
  });

  it('are found and removed by their key, whatever else is given', async () => {
    await upsertRows(database, ThingView, [thing(1), thing(2), thing(1, { orgId: 'org_2' })]);
    expect(await load(thing(1), thing(1), thing(9))).toEqual([thing(1)]);
    await removeRows(database, ThingView, [thing(1), thing(9)]);
    expect(await load(thing(1), thing(2), thing(1, { orgId: 'org_2' }))).toEqual([
      thing(1, { orgId: 'org_2' }),
      thing(2),
    ]);
    const place = { id: '01932f1d-6a3c-7c1e-8f00-2b1d9a7c5e01', name: 'here' };
    await upsertRows(database, PlaceView, [place]);
    expect(await loadRows(database, PlaceView, [place])).toEqual([place]);
    await removeRows(database, PlaceView, [place]);
    expect(await loadRows(database, PlaceView, [place])).toEqual([]);
  });

  it('hold whatever text the log can hold', async () => {
    const text = fc
      .array(fc.oneof(fc.integer({ min: 0, max: 0xffff }), fc.constantFrom(0, 0x22, 0x5c, 0x7b, 0xd83d, 0xde00)))
      .map((units) => String.fromCharCode(...units));
    await fc.assert(
      fc.asyncProperty(fc.array(text, { minLength: 1, maxLength: 20 }), async (texts) => {
        const rows = texts.map((one, number) => thing(number, { longName: one, labels: { [one]: one } }));
        await upsertRows(database, ThingView, rows);
        expect(await load(...rows)).toEqual(
          texts.map((one, number) =>
            thing(number, { longName: storable(one), labels: { [storable(one)]: storable(one) } }),
          ),
        );
      }),
      { numRuns: 50 },
    );
  });

  it('cost no statement where there are none', async () => {
    const none = { query: () => Promise.reject(new Error('a statement')) };
    await upsertRows(none, ThingView, []);
    await removeRows(none, ThingView, []);
    expect(await loadRows(none, ThingView, [])).toEqual([]);
  });
});
