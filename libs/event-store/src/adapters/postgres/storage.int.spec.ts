import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';

import { until } from '#libs/kernel/testing/wait-for.js';

import { createTestDatabase, type TestDatabase } from '../../../../../test/support/database.js';
import { TcpProxy } from '../../../../../test/support/tcp-proxy.js';
import { Follower } from '../../contract/follower.js';
import { anEvent, someEvents } from '../../contract/given.js';
import { migrate } from './migrations.adapter.js';
import { PostgresEventStore } from './postgres-event-store.adapter.js';
import { readAllQuery } from './read-sql.js';
import { MIGRATIONS, SESSION_OPTIONS } from './schema.js';

/** What the contract does not see: schema, plans, sessions. */
describe('the log in PostgreSQL', () => {
  let database: TestDatabase;
  let client: pg.Client;

  beforeAll(async () => {
    database = await createTestDatabase({ empty: true });
    client = new pg.Client({ connectionString: database.url, options: SESSION_OPTIONS });
    await client.connect();
  });
  afterAll(async () => {
    await client.end();
    await database.drop();
  });

  const open = (options: { tailBytes?: number } = {}): Promise<PostgresEventStore> =>
    PostgresEventStore.open({ connectionString: database.url, ...options });
  const rows = async <Row extends pg.QueryResultRow>(sql: string): Promise<Row[]> =>
    (await client.query<Row>(sql)).rows;

  test('is made once by processes that start together, and found as it is by later ones', async () => {
    const stores = await Promise.all([open(), open(), open()]);
    await stores[0].append('kept', [anEvent()], 'no-stream');
    await Promise.all(stores.map((store) => store.close()));
    const again = await open();
    expect(await again.readStream('kept')).toHaveLength(1);
    await again.close();
    expect(await rows('SELECT max(version) AS version FROM log.migrations')).toEqual([{ version: MIGRATIONS.length }]);
  });

  test('is refused by a program that is older than it', async () => {
    await expect(migrate(client, 'millrace.', [])).rejects.toThrow('Start a newer version');
    const store = await open();
    await store.close();
  });

  test('names all its streams with the prefix, and shows them without', async () => {
    const store = await open();
    await store.append('named', [anEvent()], 'no-stream');
    expect((await store.readStream('named')).map(({ stream }) => stream)).toEqual(['named']);
    expect(await rows(`SELECT stream FROM log.events WHERE stream LIKE '%named'`)).toEqual([
      { stream: 'millrace.named' },
    ]);
    await store.close();
  });

  test('refuses another prefix than the one that it was begun with, and names it', async () => {
    await expect(PostgresEventStore.open({ connectionString: database.url, prefix: 'other.' })).rejects.toMatchObject({
      code: 'log.other_prefix',
      message: expect.stringContaining('PREFIX=millrace.'),
    });
  });

  test('of a version without prefixes is renamed at once, and followers go on where they were', async () => {
    const old = await createTestDatabase({ empty: true });
    const former = new pg.Client({ connectionString: old.url });
    await former.connect();
    // What the version before made: its schema, two streams, a boundary.
    await former.query(`CREATE SCHEMA log; CREATE TABLE log.migrations (version int PRIMARY KEY, applied timestamptz);
      ${MIGRATIONS[0]!}; INSERT INTO log.migrations VALUES (1, now());
      INSERT INTO log.events SELECT n, CASE WHEN n <= 2 THEN 'rule-1' ELSE 'run-1' END, (n - 1) % 2, gen_random_uuid(),
        'thing.happened', now(), '{}', '{}' FROM generate_series(1, 4) n;
      UPDATE log.head SET position = 4; INSERT INTO log.retention VALUES ('run-1', 1)`);
    try {
      const stores = await Promise.all([1, 2].map(() => PostgresEventStore.open({ connectionString: old.url })));
      const store = stores[0]!;
      const follower = new Follower(store, { from: 1n });
      await follower.untilCaughtUp();
      expect(follower.events.map(({ stream, position }) => [stream, position])).toEqual([
        ['rule-1', 2n],
        ['run-1', 4n],
      ]);
      await follower.stop();
      expect(await store.append('rule-1', [anEvent()], 1n)).toMatchObject({ revision: 2n, position: 5n });
      const { rows: stored } = await former.query('SELECT DISTINCT stream FROM log.events ORDER BY 1');
      expect(stored).toEqual([{ stream: 'millrace.rule-1' }, { stream: 'millrace.run-1' }]);
      // A process of the version before is not let in any more.
      await expect(
        former.query(
          `SELECT log.append('{rule-1}', '{2}', '{1}', '{${anEvent().id}}', '{1}', '{a}', '{0,2,4}', '{}{}')`,
        ),
      ).rejects.toThrow('does not exist');
      await Promise.all(stores.map((one) => one.close()));
    } finally {
      await former.end();
      await old.drop();
    }
  });

  test('says that the database is not there, without the password', async () => {
    const url = new URL(database.url);
    url.searchParams.delete('host');
    url.host = '127.0.0.1:1';
    url.password = 'hidden-password';
    const refused = PostgresEventStore.open({ connectionString: url.href });
    await expect(refused).rejects.toMatchObject({ name: 'Transient', code: 'log.unavailable' });
    const error = (await refused.catch((reason: unknown) => reason)) as Error;
    expect(`${error.message} ${String(error.cause)}`).not.toContain('hidden-password');
  });

  test('hands out positions without gaps, also around refused appends', async () => {
    const store = await open();
    const before = await store.head();
    await Promise.allSettled(
      Array.from({ length: 50 }, (_, n) =>
        store.append(n % 2 === 0 ? 'gapless' : `gapless-${n}`, someEvents(2), 'no-stream'),
      ),
    );
    const { events } = await store.readAll({ after: before, limit: 1000 });
    expect(events.map(({ position }) => position)).toEqual(events.map((_, n) => before + 1n + BigInt(n)));
    expect(events).toHaveLength(52);
    await store.close();
  });

  test('writes durably even where the database is set to commit asynchronously', async () => {
    await client.query(`ALTER DATABASE ${new URL(database.url).pathname.slice(1)} SET synchronous_commit = off`);
    const store = await open();
    await store.append('durable', [anEvent()], 'no-stream');
    const settings = await rows<{ application_name: string }>(
      `SELECT application_name FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'millrace log writer'`,
    );
    expect(settings).toHaveLength(1);
    // What a session has set cannot be asked from another; what the writer asks for itself is what counts.
    const { writer } = store as unknown as { writer: { client: pg.Client } };
    expect((await writer.client.query('SHOW synchronous_commit')).rows).toEqual([{ synchronous_commit: 'on' }]);
    await store.close();
  });

  test('keeps large events in their row, uncompressed', async () => {
    const store = await open();
    await store.append('large', [anEvent({ data: JSON.stringify({ text: 'x'.repeat(6_900) }) })], 'no-stream');
    await store.close();
    expect(
      await rows(`SELECT octet_length(data) AS bytes, pg_column_size(data) >= octet_length(data) AS "isWhole",
        (SELECT pg_relation_size(reltoastrelid) FROM pg_class WHERE oid = 'log.events'::regclass)::int AS toasted
        FROM log.events WHERE stream = 'millrace.large'`),
    ).toEqual([{ bytes: 6_911, isWhole: true, toasted: 0 }]);
  });

  test('removes what retention hides, but for the place of the event that holds the revision', async () => {
    const store = await open();
    await store.append('retained', someEvents(5), 'no-stream');
    await store.truncateBefore('retained', 3n);
    expect(await rows(`SELECT revision::int FROM log.events WHERE stream = 'millrace.retained' ORDER BY 1`)).toEqual([
      { revision: 3 },
      { revision: 4 },
    ]);
    await store.truncateBefore('retained', 5n);
    expect(
      await rows(`SELECT revision::int, data, metadata FROM log.events WHERE stream = 'millrace.retained'`),
    ).toEqual([{ revision: 4, data: Buffer.alloc(0), metadata: Buffer.alloc(0) }]);
    await store.close();
  });

  test.each(['forwards', 'backwards'] as const)(
    'looks a type up by its index reading %s, whatever the statistics say',
    async (direction) => {
      const bounds = direction === 'forwards' ? { after: 1_000_000n, upTo: 2n ** 62n } : { after: 5n, upTo: 0n };
      await client.query('ANALYZE log.events');
      for (const filter of [{ types: ['a', 'b'] }, { types: ['a'], streamPrefixes: ['x'] }]) {
        const { text, values } = readAllQuery({ ...bounds, direction }, filter, 500);
        const plan = (await client.query<{ 'QUERY PLAN': string }>(`EXPLAIN ${text}`, values)).rows
          .map((row) => row['QUERY PLAN'])
          .join('\n');
        expect(plan).toContain('events_by_type on events c');
        expect(plan).not.toContain('Seq Scan on events');
        expect(plan).not.toMatch(/events_pkey on events c/);
      }
    },
  );

  test('delivers own appends from memory: no page is read for a live subscription', async () => {
    const store = await open();
    const follower = new Follower(store, { from: 'end' });
    await follower.untilCaughtUp();
    const { reader } = store as unknown as { reader: { forwards: (...args: unknown[]) => unknown } };
    const reads: unknown[] = [];
    const { forwards } = reader;
    reader.forwards = (...args) => {
      reads.push(args);
      return forwards.apply(reader, args);
    };
    for (let n = 0; n < 20; n++) await store.append(`memory-${n}`, someEvents(2), 'no-stream');
    await follower.untilEvents(40);
    await follower.stop();
    expect(reads).toEqual([]);
    await store.close();
  });

  test('hears of what another process appends without waiting for the poll', async () => {
    const [reader, writer] = await Promise.all([open(), open()]);
    const follower = new Follower(reader, { from: 'end', filter: { streamPrefixes: ['heard-'] } });
    await follower.untilCaughtUp();
    const { listener } = reader as unknown as { listener: { listening: Promise<void>; pollTimer: NodeJS.Timeout } };
    await listener.listening;
    clearTimeout(listener.pollTimer);
    for (let n = 0; n < 10; n++) {
      await writer.append(`heard-${n}`, [anEvent()], 'no-stream');
      await follower.untilEvents(n + 1);
    }
    await follower.stop();
    await Promise.all([reader.close(), writer.close()]);
  });

  test('still hears of it, by asking, when notifications do not come', async () => {
    const [reader, writer] = await Promise.all([open(), open()]);
    const follower = new Follower(reader, { from: 'end', filter: { streamPrefixes: ['polled-'] } });
    await follower.untilCaughtUp();
    const { listener } = reader as unknown as { listener: { listening: Promise<void>; client: pg.Client } };
    await listener.listening;
    await listener.client.query('UNLISTEN *');
    await writer.append('polled-1', [anEvent()], 'no-stream');
    await follower.untilEvents(1);
    await follower.stop();
    await Promise.all([reader.close(), writer.close()]);
  });

  test('when an answer is lost, what names a revision is asked for again, and what does not is left to its caller', async () => {
    const { proxy, url } = await TcpProxy.inFrontOf(database.url);
    const store = await PostgresEventStore.open({ connectionString: url });
    await store.append('lost-exists', [anEvent()], 'no-stream');
    proxy.loseAnswerTo('log-append');
    const [named, unnamed] = await Promise.allSettled([
      store.append('lost-named', someEvents(2), 'no-stream'),
      store.append('lost-exists', someEvents(2), 'stream-exists'),
    ]);
    expect(named).toMatchObject({ status: 'fulfilled', value: { revision: 1n, repeated: true } });
    expect(unnamed).toMatchObject({ status: 'rejected', reason: { name: 'Transient', code: 'log.unavailable' } });
    expect(await store.readStream('lost-named')).toHaveLength(2);
    expect(await store.readStream('lost-exists')).toHaveLength(3);
    await store.close();
    await proxy.stop();
  });

  test('a subscription sees an append whose answer was lost, once and in order', async () => {
    const { proxy, url } = await TcpProxy.inFrontOf(database.url);
    const store = await PostgresEventStore.open({ connectionString: url });
    const follower = new Follower(store, { from: 'end', filter: { streamPrefixes: ['unheard-'] } });
    await follower.untilCaughtUp();
    const ids: string[] = [];
    for (let n = 0; n < 6; n++) {
      if (n % 2 === 1) proxy.loseAnswerTo('log-append');
      const events = someEvents(2);
      ids.push(...events.map(({ id }) => id));
      await store.append(`unheard-${n}`, events, 'no-stream');
    }
    await follower.untilEvents(12);
    await follower.stop();
    expect(follower.events.map(({ id }) => id)).toEqual(ids);
    await store.close();
    await proxy.stop();
  });

  test('holds no transaction open between appends', async () => {
    const store = await open();
    await store.append('idle', [anEvent()], 'no-stream');
    const follower = new Follower(store, { from: 'start' });
    await follower.untilCaughtUp();
    expect(
      await rows(`SELECT application_name, state FROM pg_stat_activity
        WHERE datname = current_database() AND application_name LIKE 'millrace log%' AND state LIKE '%transaction%'`),
    ).toEqual([]);
    await follower.stop();
    await store.close();
  });

  test('leaves no connection behind when it is closed', async () => {
    const store = await open();
    const follower = new Follower(store, { from: 'start' });
    await follower.untilCaughtUp();
    await store.close();
    await follower.ended;
    const connections = () =>
      rows(`SELECT application_name, state, query FROM pg_stat_activity
        WHERE datname = current_database() AND application_name LIKE 'millrace log%'`);
    // The server notices a moment later.
    await until(async () => (await connections()).length === 0);
  });
});
