import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import pg from 'pg';

import { storable } from '#libs/kernel/src/text/text.js';

import { createTestDatabase, type TestDatabase } from '../../../../test/support/database.js';
import { pipelined } from './pipeline.adapter.js';

describe('parameters of a pipeline', () => {
  let database: TestDatabase;
  let client: pg.Client;
  beforeAll(async () => {
    database = await createTestDatabase();
    client = new pg.Client({ connectionString: database.url });
    await client.connect();
  });
  afterAll(async () => {
    await client.end();
    await database.drop();
  });
  const back = async (type: string, value: unknown): Promise<unknown> => {
    const [answer] = await pipelined(client, [{ text: `select $1::${type} as value`, values: [value] }]);
    return (answer!.rows[0] as { value: unknown }).value;
  };
  const text = fc.string({ unit: 'binary' });

  it('PostgreSQL reads arrays of any texts as they were given, but for what it cannot store', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.option(fc.oneof(text, fc.constantFrom('', 'NULL', '{}', '\\', '"', ',')))),
        async (items) => {
          expect(await back('text[]', items)).toEqual(items.map((item) => item && storable(item)));
        },
      ),
    );
  });

  it('other elements keep their value', async () => {
    const times = [new Date('2026-03-29T01:30:00.123Z'), new Date('-000044-03-15T00:00:00.000Z'), null];
    expect(await back('timestamptz[]', times)).toEqual(times);
    expect(await back('bytea[]', [Buffer.from([0, 34, 92, 255])])).toEqual([Buffer.from([0, 34, 92, 255])]);
    expect(await back('bigint[]', [9007199254740993n, 1])).toEqual(['9007199254740993', '1']);
    expect(await back('boolean[]', [true, false])).toEqual([true, false]);
    expect(
      await back('text[]', [
        ['a', 'b'],
        ['"', '\\'],
      ]),
    ).toEqual([
      ['a', 'b'],
      ['"', '\\'],
    ]);
    expect(await back('jsonb[]', [{ a: ['"'] }])).toEqual([{ a: ['"'] }]);
  });
});
