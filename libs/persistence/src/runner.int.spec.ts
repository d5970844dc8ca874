import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import type { DataSource } from 'typeorm';

import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import { Runner } from '#libs/event-store/src/runner/runner.js';
import type { Subscriber } from '#libs/event-store/src/subscriber.js';
import { uuid7 } from '#libs/kernel/src/ids.js';
import { until } from '#libs/kernel/testing/wait-for.js';

import { createTestDatabase, type TestDatabase } from '../../../test/support/database.js';
import { PostgresCheckpoints } from './checkpoints.adapter.js';
import { openDataSource } from './data-source.adapter.js';
import { AdvisoryLocks } from './session/advisory-locks.adapter.js';
import { SessionConnection } from './session/session-connection.adapter.js';

let database: TestDatabase;
let admin: pg.Client;
let store: MemoryEventStore;
let processes: FakeProcess[];

/** What one process has of its own: pool, session, runner. The log is shared. */
class FakeProcess {
  private constructor(
    readonly dataSource: DataSource,
    readonly session: SessionConnection,
    readonly runner: Runner,
  ) {}

  static async start(...subscribers: Subscriber[]): Promise<FakeProcess> {
    const dataSource = await openDataSource({ url: database.url, poolSize: 4 });
    const session = new SessionConnection(database.url);
    const checkpoints = new PostgresCheckpoints(dataSource);
    const runner = new Runner({ store, checkpoints, locks: new AdvisoryLocks(session), signals: session });
    await runner.start({ subscribers, tables: [] });
    const started = new FakeProcess(dataSource, session, runner);
    processes.push(started);
    return started;
  }

  async stop(): Promise<void> {
    await this.runner.stop();
    await this.session.close();
    await this.dataSource.destroy();
  }
}

beforeEach(async () => {
  database = await createTestDatabase();
  admin = new pg.Client({ connectionString: database.url });
  await admin.connect();
  await admin.query('create table seen (n int not null, by text not null)');
  store = new MemoryEventStore();
  processes = [];
});

afterEach(async () => {
  await Promise.all(processes.map((one) => one.stop()));
  await admin.end();
  await database.drop();
});

const METADATA = JSON.stringify({
  ...{ source: 'millrace', subject: '', orgId: 'org_1', timestamp: '2026-11-20T13:14:15.123Z', actor: 'millrace' },
  ...{ $correlationId: uuid7(), hop: 0, schemaVersion: 1 },
});
let streamNumber = 0;
async function append(...values: number[]): Promise<bigint> {
  const events = values.map((n) => ({
    id: uuid7(),
    type: 'thing.happened',
    data: JSON.stringify({ n }),
    metadata: METADATA,
  }));
  return (await store.append(`stream-${++streamNumber}`, events, 'no-stream')).position;
}

const n = (recorded: RecordedEvent): number => (recorded.data as unknown as { n: number }).n;

const view = (by: string, before: (events: readonly RecordedEvent[]) => void = () => undefined): Subscriber => ({
  name: 'test.view',
  reads: 'all',
  writes: [],
  batchSize: 5,
  handle: async (events, context) => {
    const tx = await context.transaction();
    await tx.query('insert into seen select unnest($1::int[]), $2', [events.map(n), by]);
    before(events);
  },
});

const seen = async (): Promise<{ n: number; by: string }[]> =>
  (await admin.query<{ n: number; by: string }>('select n, by from seen order by n')).rows;

const terminate = (condition: string): Promise<unknown> =>
  admin.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid() and ${condition}`,
  );

describe('views', () => {
  test('have every event exactly once although connections are cut all the time', async () => {
    const one = await FakeProcess.start(view('one'));
    const values = Array.from({ length: 60 }, (_, i) => i);
    for (const value of values) {
      await append(value);
      if (value % 10 === 9) await terminate(`application_name = 'millrace'`);
    }
    await one.runner.whenProcessed('test.view', await store.head(), 20_000);
    expect((await seen()).map((row) => row.n)).toEqual(values);
  });

  test('are rolled back with the batch that failed, whose bad event is parked with its reason', async () => {
    const one = await FakeProcess.start(
      view('one', (events) => {
        if (events.some((event) => n(event) === 2)) throw new TypeError('cannot read \0 2');
      }),
    );
    const position = await append(0, 1, 2, 3);
    await one.runner.whenProcessed('test.view', position, 20_000);
    expect((await seen()).map((row) => row.n).slice(0, 3)).toEqual([0, 1, 3]);
    expect(await one.runner.parked('test.view')).toMatchObject([
      { position: 3n, reason: 'cannot read \ufffd 2', tries: 3 },
    ]);
    expect((await one.runner.status())[0]).toMatchObject({ parked: 1 });
  });

  test('park at once what no column holds: trying again would only cost the events behind it time', async () => {
    const one = await FakeProcess.start({
      ...view('one'),
      reads: ['thing.happened'] as never,
      handle: async (events, context) => {
        const tx = await context.transaction();
        // 2 is no date.
        await tx.query('insert into seen select extract(year from one::date), 2 from unnest($1::text[]) one', [
          events.map((event) => (n(event) === 2 ? 'nonsense' : `200${n(event)}-01-01`)),
        ]);
      },
    });
    await one.runner.whenProcessed('test.view', await append(1, 2, 3), 20_000);
    expect((await seen()).map((row) => row.n)).toEqual([2001, 2003]);
    expect(await one.runner.parked('test.view')).toMatchObject([
      { reason: expect.stringContaining('nonsense'), tries: 1 },
    ]);
  });
});

describe('of two processes', () => {
  test('one is active; the other goes on from its checkpoint when it stops', async () => {
    const one = await FakeProcess.start(view('one'));
    await one.runner.whenProcessed('test.view', await append(0));
    const other = await FakeProcess.start(view('other'));
    await other.runner.whenProcessed('test.view', await append(1));
    await one.stop();
    processes = processes.filter((process) => process !== one);
    await other.runner.whenProcessed('test.view', await append(2));
    expect(await seen()).toEqual([
      { n: 0, by: 'one' },
      { n: 1, by: 'one' },
      { n: 2, by: 'other' },
    ]);
  });

  test('the one that loses its session stops being active, and nothing is written twice', async () => {
    const one = await FakeProcess.start(view('one'));
    await one.runner.whenProcessed('test.view', await append(0));
    const other = await FakeProcess.start(view('other'));
    await terminate(`application_name like 'millrace session%'`);
    await until(async () => {
      const states = await Promise.all([one, other].map(async ({ runner }) => (await runner.status())[0]!.active));
      return states.filter(Boolean).length === 1;
    });
    for (let value = 1; value < 10; value++) await append(value);
    await other.runner.whenProcessed('test.view', 10n);
    expect((await seen()).map((row) => row.n)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });
});
