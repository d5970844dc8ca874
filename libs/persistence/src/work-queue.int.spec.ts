import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { DataSource } from 'typeorm';

import { Transient } from '#libs/kernel/src/errors.js';
import { createTestDatabase, type TestDatabase } from '../../../test/support/database.js';

import { openDataSource } from './data-source.adapter.js';
import { PostgresWorkQueue } from './work-queue.adapter.js';
import type { ClaimedWork, Work, Worker } from './work.js';
import { Workers } from './workers.adapter.js';

const QUEUE = 'test.effect';

let database: TestDatabase;
let dataSource: DataSource;
let queue: PostgresWorkQueue;
const started: Workers[] = [];

beforeEach(async () => {
  database = await createTestDatabase();
  dataSource = await openDataSource({ url: database.url });
  queue = new PostgresWorkQueue(dataSource);
});

afterEach(async () => {
  await Promise.all(started.splice(0).map((workers) => workers.stop(0)));
  await dataSource.destroy();
  await database.drop();
});

const work = (key: string, more: Partial<Work> = {}): Work => ({
  queue: QUEUE,
  key,
  dueAt: new Date(),
  payload: {},
  position: 1n,
  ...more,
});

const schedule = (...rows: Work[]): Promise<void> => dataSource.transaction((tx) => queue.schedule(tx, rows));
const remove = (...keys: string[]): Promise<void> => dataSource.transaction((tx) => queue.remove(tx, QUEUE, keys));

async function start(run: Worker['run'], more: Partial<Worker> = {}): Promise<Workers> {
  const worker: Worker = { queue: QUEUE, concurrency: 8, writes: [], run, ...more };
  const workers = new Workers({ dataSource, queue, workers: [worker] });
  started.push(workers);
  await workers.start();
  return workers;
}

async function until(condition: () => boolean | Promise<boolean>, timeoutMs = 10_000): Promise<void> {
  for (const deadline = Date.now() + timeoutMs; !(await condition());) {
    if (Date.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${condition}`);
    await new Promise((done) => setTimeout(done, 5));
  }
}

const stateOf = async (key: string): Promise<string | undefined> => {
  const [row] = await dataSource.query<{ state: string }[]>('select state from views.work where key = $1', [key]);
  return row?.state;
};

describe('scheduled work', () => {
  test('is run once, with what was scheduled, as soon as its transaction commits', async () => {
    const seen: ClaimedWork[] = [];
    await start(async (given) => {
      seen.push(given);
      return { position: 2n };
    });

    await schedule(work('a', { payload: { x: 1 }, group: 'g', position: 1n }));
    await until(async () => (await stateOf('a')) === 'resting');

    expect(seen).toEqual([
      expect.objectContaining({ key: 'a', payload: { x: 1 }, group: 'g', claims: 1, position: 1n }),
    ]);
  });

  test('is not run when its transaction is rolled back', async () => {
    const seen: string[] = [];
    await start(async ({ key }) => {
      seen.push(key);
      return { position: 2n };
    });
    await expect(
      dataSource.transaction(async (tx) => {
        await queue.schedule(tx, [work('never')]);
        throw new Error('no');
      }),
    ).rejects.toThrow('no');
    await schedule(work('b'));
    await until(() => seen.includes('b'));
    expect(seen).toEqual(['b']);
  });

  test('rests until the projection of its outcome has written it again', async () => {
    const runs: { claims: number; position: bigint }[] = [];
    await start(async ({ claims, position }) => {
      runs.push({ claims, position });
      return { position: position + 9n };
    });
    await schedule(work('a', { position: 1n }));
    await until(async () => (await stateOf('a')) === 'resting');

    await schedule(work('a', { position: 9n }));
    expect(await stateOf('a')).toBe('resting');
    await schedule(work('a', { position: 10n }));
    await until(() => runs.length === 2);

    expect(runs).toEqual([
      { claims: 1, position: 1n },
      { claims: 1, position: 10n },
    ]);
  });

  test('stays with the process that has it when its projection is faster than the report', async () => {
    let finish: (() => void) | undefined;
    const runs: ClaimedWork[] = [];
    await start(async (given) => {
      runs.push(given);
      if (runs.length === 1) await new Promise<void>((done) => (finish = done));
      return { position: given.position + 4n };
    });
    await schedule(work('a'));
    await until(() => finish !== undefined);

    await schedule(work('a', { position: 5n, payload: { next: true } }));
    expect(await stateOf('a')).toBe('claimed');
    expect(runs).toHaveLength(1);
    finish!();
    await until(() => runs.length === 2);

    expect(runs[1]).toMatchObject({ claims: 1, payload: { next: true } });
  });

  test('that is removed while it runs is gone for good', async () => {
    let finish: (() => void) | undefined;
    await start(async () => {
      await new Promise<void>((done) => (finish = done));
      return { position: 5n };
    });
    await schedule(work('a'));
    await until(() => finish !== undefined);
    await remove('a');
    finish!();
    await until(() => started[0]!.busy().get(QUEUE) === 0);
    expect(await stateOf('a')).toBeUndefined();
  });

  test('that is due later waits for its time', async () => {
    const ranAt: number[] = [];
    await start(async () => {
      ranAt.push(Date.now());
      return { position: 2n };
    });
    const dueAt = new Date(Date.now() + 400);
    await schedule(work('a', { dueAt }));
    await until(() => ranAt.length === 1);
    expect(ranAt[0]).toBeGreaterThanOrEqual(dueAt.getTime());
    expect(ranAt[0]).toBeLessThan(dueAt.getTime() + 1_000);
  });
});

describe('a failure', () => {
  test('that is passing is tried again, with the number of the try', async () => {
    const claims: number[] = [];
    await start(async (given) => {
      claims.push(given.claims);
      if (claims.length < 3) throw new Transient('elsewhere.away', 'away');
      return { position: 2n };
    });
    await schedule(work('a'));
    await until(() => claims.length === 3);
    expect(claims).toEqual([1, 2, 3]);
  });
});

describe('groups', () => {
  test('never run more of a group than its limit, nor more in all than the concurrency', async () => {
    const inGroup = new Map<string, number>();
    let most = 0;
    let all = 0;
    let mostOfAll = 0;
    let done = 0;
    await start(
      async ({ group = '' }) => {
        const now = (inGroup.get(group) ?? 0) + 1;
        inGroup.set(group, now);
        most = Math.max(most, now);
        mostOfAll = Math.max(mostOfAll, ++all);
        await new Promise((resolve) => setTimeout(resolve, 2));
        inGroup.set(group, inGroup.get(group)! - 1);
        all -= 1;
        done += 1;
        return { position: 2n };
      },
      { concurrency: 8, perGroup: 3 },
    );
    await schedule(...Array.from({ length: 300 }, (_, i) => work(`k${i}`, { group: `g${i % 7}` })));
    await until(() => done === 300);
    expect(most).toBe(3);
    expect(mostOfAll).toBe(8);
  });
});
