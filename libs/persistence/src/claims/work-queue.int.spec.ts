import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { DataSource } from 'typeorm';

import { Transient } from '#libs/kernel/src/errors.js';
import type { JsonObject } from '#libs/kernel/src/json.js';
import { until } from '#libs/kernel/testing/wait-for.js';

import { createTestDatabase, type TestDatabase } from '../../../../test/support/database.js';
import { openDataSource } from '../data-source.adapter.js';
import type { LeaseTiming } from '../session/process-lease.adapter.js';
import { CLAIM } from './work-claims.adapter.js';
import { inTransaction } from '../transaction/in-transaction.adapter.js';
import { PostgresWorkQueue } from './work-queue.adapter.js';
import type { ClaimedWork, Place, Work, Worker } from './work.js';
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

const schedule = (...rows: Work[]): Promise<void> => inTransaction(dataSource, (tx) => queue.schedule(tx, rows));
const remove = (...keys: string[]): Promise<void> => inTransaction(dataSource, (tx) => queue.remove(tx, QUEUE, keys));

/** The lease of a process, twenty times faster, for tests that let it end. On a busy machine it may end in others too. */
const QUICK = { renewEvery: 100, trustFor: 300, deadAfter: 400 };

async function start(
  run: Worker<JsonObject>['run'],
  more: Partial<Worker> = {},
  timing?: LeaseTiming,
): Promise<Workers> {
  const worker: Worker<JsonObject> = { queue: QUEUE, concurrency: 8, writes: [], run, ...more };
  const workers = new Workers({ dataSource, queue, workers: [worker], ...(timing && { timing }) });
  started.push(workers);
  await workers.start();
  return workers;
}

const stateOf = async (key: string): Promise<string | undefined> => {
  const [row] = await dataSource.query<{ state: string }[]>('select state from views.work where key = $1', [key]);
  return row?.state;
};

describe('work that is due at once', () => {
  const handed = (claim: string): boolean => claim.startsWith('-');

  test('is handed over to a worker of this process, claimed as it is written', async () => {
    const seen: string[] = [];
    await start(async (given) => {
      seen.push((given as unknown as { claim: string }).claim);
      return { position: 2n };
    });
    // Until the worker knows that nothing waits.
    await schedule(work('first'));
    await until(() => seen.length === 1);
    await until(async () => {
      await schedule(work(`next ${seen.length}`));
      return seen.some(handed);
    });
  });

  test('of a group that hangs takes no more than its places, however it comes', async () => {
    const most = new Map<string, number>();
    const running = new Map<string, number>();
    let ended = 0;
    await start(
      async (given, signal) => {
        const group = given.group!;
        const count = (running.get(group) ?? 0) + 1;
        running.set(group, count);
        most.set(group, Math.max(most.get(group) ?? 0, count));
        if (group === 'hangs') await once(signal, 'abort');
        running.set(group, count - 1);
        ended += 1;
        return { position: 2n };
      },
      { concurrency: 64, perGroup: { first: 8, most: 64 } },
    );
    for (let n = 0; n < 30; n++) await schedule(work(`a ${n}`, { group: 'hangs' }), work(`b ${n}`, { group: 'quick' }));
    await until(() => ended === 30);
    await until(() => (running.get('hangs') ?? 0) >= 8);
    expect(most.get('hangs')).toBe(8);
  });
});

describe('work that is taken before its row is written', () => {
  async function taken(key: string): Promise<Place> {
    let place: Place | undefined;
    await until(() => (place = queue.take({ queue: QUEUE, key })) !== undefined);
    return place!;
  }

  test('begins at once, once, and its row is written as claimed by its process', async () => {
    const seen: ClaimedWork[] = [];
    let finish: () => void = () => undefined;
    await start(async (given) => {
      seen.push(given);
      await new Promise<void>((done) => (finish = done));
      return { position: 2n };
    });
    const place = await taken('a');
    place.begin(work('a', { payload: { x: 1 } }));
    expect(seen).toMatchObject([{ key: 'a', payload: { x: 1 }, claims: 1 }]);
    await schedule(work('a', { taken: place }));
    expect(await stateOf('a')).toBe('claimed');
    finish();
    await until(async () => (await stateOf('a')) === 'resting');
    expect(seen).toHaveLength(1);
  });

  test('is there for everybody if it never began', async () => {
    const seen: ClaimedWork[] = [];
    await start(async (given) => {
      seen.push(given);
      return { position: 2n };
    });
    const place = await taken('a');
    place.release();
    await schedule(work('a', { taken: place }));
    await until(() => seen.length === 1);
  });

  test('is taken over from a process that is gone', async () => {
    const seen: ClaimedWork[] = [];
    await start(
      async (given) => {
        seen.push(given);
        return { position: 2n };
      },
      {},
      QUICK,
    );
    await schedule(work('a', { taken: { process: '01a22cd3-56fc-7002-b9e1-b696ce3b5587', claim: '-5' } }));
    await until(() => seen.length === 1);
    expect(seen).toMatchObject([{ key: 'a', claims: 2, crashes: 1 }]);
  });
});

describe('a hint', () => {
  test('is given to the first who claims the row, and to nobody after', async () => {
    const seen: object[] = [];
    await start(async ({ payload, claims }) => {
      seen.push({ ...payload, claims });
      if (claims === 1) throw new Transient('test.later', 'later');
      return { position: 2n };
    });
    queue.hint(QUEUE, 'a', { known: true });
    await schedule(work('a', { payload: { x: 1 } }));
    await until(() => seen.length === 2);
    expect(seen).toEqual([
      { x: 1, known: true, claims: 1 },
      { x: 1, claims: 2 },
    ]);
  });
});

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
      inTransaction(dataSource, async (tx) => {
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
  });
});

describe('work that is scheduled anew while it runs', () => {
  const hourAhead = new Date(Date.now() + 3_600_000);

  test.each<[string, () => ReturnType<Worker['run']>]>([
    ['has no outcome', () => Promise.resolve({ position: 1n })],
    ['cannot be done now', () => Promise.reject(new Transient('subscriber.behind', 'not yet'))],
    ['fails', () => Promise.reject(new Error('a bug'))],
  ])('waits for its new time, also where the run that was under way %s', async (_, end) => {
    let runs = 0;
    await start(async () => {
      runs++;
      await schedule(work('a', { dueAt: hourAhead, position: 5n, payload: { last: 'new' } }));
      return end();
    });
    await schedule(work('a', { payload: { last: 'old' } }));
    await until(async () => (await stateOf('a')) === 'sleeping');
    const [row] = await dataSource.query<object[]>('select due_at, tries, failures, reason, payload from views.work');
    expect(row).toEqual({ due_at: hourAhead, tries: 0, failures: 0, reason: null, payload: { last: 'new' } });
    expect(runs).toBe(1);
  });

  test('is taken up at once where that time has come', async () => {
    const seen: unknown[] = [];
    await start(async ({ payload }) => {
      seen.push(payload['last']);
      if (seen.length === 1) await schedule(work('a', { position: 5n, payload: { last: 'new' } }));
      return { position: seen.length === 1 ? 1n : 9n };
    });
    await schedule(work('a', { payload: { last: 'old' } }));
    await until(async () => (await stateOf('a')) === 'resting');
    expect(seen).toEqual(['old', 'new']);
  });
});

test('a worker that ends without an outcome is not called in a circle', async () => {
  let calls = 0;
  await start(async ({ position }) => {
    calls += 1;
    return { position };
  });
  await schedule(work('a'));
  await until(async () => (await stateOf('a')) === 'sleeping');
  expect(calls).toBe(1);
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

  test('that stays is tried a bounded number of times, then parked where it can be seen and retried', async () => {
    let tries = 0;
    let cured = false;
    await start(async () => {
      tries += 1;
      if (!cured) throw new TypeError('cannot');
      return { position: 8n };
    });
    await schedule(work('bad', { position: 7n }));
    const hurry = setInterval(
      () => void dataSource.query(`update views.work set due_at = now() where state = 'sleeping'`),
      20,
    );
    await until(async () => (await stateOf('bad')) === 'parked');
    clearInterval(hurry);
    expect(tries).toBe(8);
    expect(await queue.parked()).toEqual([{ queue: QUEUE, key: 'bad', reason: 'cannot', failures: 8, position: 7n }]);

    cured = true;
    expect(await queue.retryParked(QUEUE, 'bad')).toBe(true);
    await until(() => tries === 9);
    await until(async () => (await stateOf('bad')) !== 'claimed');
    expect(await queue.parked()).toEqual([]);
    expect(await queue.retryParked(QUEUE, 'bad')).toBe(false);
  });

  test('waits longer each time', async () => {
    const failedAt: number[] = [];
    await start(async () => {
      failedAt.push(Date.now());
      throw new Transient('elsewhere.away', 'away');
    });
    await schedule(work('a'));
    await until(() => failedAt.length === 5);
    // Half of 250 ms, doubled each time: a random half is on top.
    for (const [nth, least] of [125, 250, 500, 1_000].entries())
      expect(failedAt[nth + 1]! - failedAt[nth]!).toBeGreaterThanOrEqual(least - 5);
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

  test('that have more rows than room go on as soon as there is room, not at the next poll', async () => {
    let done = 0;
    await start(
      async ({ position }) => {
        // All of a batch end together, while the claim that the first of them causes is under way.
        await new Promise<void>((end) => setImmediate(end));
        done += 1;
        return { position: position + 1n };
      },
      { concurrency: 64, perGroup: 8 },
    );
    const began = Date.now();
    await schedule(...Array.from({ length: 1_000 }, (_, i) => work(`k${i}`, { group: 'one' })));
    await until(() => done === 1_000);
    // 125 batches of 8: with a poll of a second between them it would be two minutes.
    expect(Date.now() - began).toBeLessThan(60_000);
  });

  test('that have 100,000 due rows and no room hold up nobody else', async () => {
    await dataSource.query(
      `insert into views.work (queue, key, grp, due_at, payload, position, state)
       select $1, 'slow' || i, 'm-slow', now() - interval '1 hour', '{}', 1, 'ready' from generate_series(1, 100000) i`,
      [QUEUE],
    );
    const done: string[] = [];
    let slow = 0;
    await start(
      (given, signal) => {
        if (given.group !== 'm-slow') {
          done.push(given.key);
          return Promise.resolve({ position: 2n });
        }
        slow += 1;
        return new Promise((_, fail) => signal.addEventListener('abort', () => fail(signal.reason as Error)));
      },
      { concurrency: 16, perGroup: 8 },
    );
    await until(() => slow === 8);
    await schedule(...Array.from({ length: 200 }, (_, i) => work(`k${i}`, { group: i % 2 ? 'a-fast' : 'z-fast' })));
    await until(() => done.length === 200);
    expect(slow).toBe(8);
  });

  test('are walked along an index: what a claim reads does not grow with the rows of a group without room', async () => {
    await dataSource.query(
      `insert into views.work (queue, key, grp, due_at, payload, position, state)
       select $1, 'k' || i, case when i % 100 = 0 then 'z' || i % 1000 else 'm-slow' end, now(), '{}', 1, 'ready'
         from generate_series(1, 50000) i`,
      [QUEUE],
    );
    const plan = await dataSource.transaction(async (tx) => {
      const process = '00000000-0000-4000-8000-000000000001';
      const rows: { 'QUERY PLAN': [{ Plan: PlanNode }] }[] = await tx.query(`explain (analyze, format json) ${CLAIM}`, [
        QUEUE,
        process,
        64,
        8,
        '',
        ['m-slow'],
        [0],
      ]);
      return rows[0]!['QUERY PLAN'][0].Plan;
    });
    expect(rowsRead(plan)).toBeLessThan(500);
  });
});

interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Actual Rows': number;
  readonly 'Actual Loops': number;
  readonly 'Rows Removed by Filter'?: number;
  readonly Plans?: readonly PlanNode[];
}

function rowsRead(node: PlanNode): number {
  const { Plans = [], 'Node Type': type, 'Actual Rows': rows, 'Actual Loops': loops } = node;
  const own = /Scan/.test(type) ? (rows + (node['Rows Removed by Filter'] ?? 0)) * loops : 0;
  return Plans.reduce((sum, child) => sum + rowsRead(child), own);
}

describe('a process', () => {
  test('that is killed loses its work to another, which sees that it is not the first', async () => {
    await schedule(...Array.from({ length: 5 }, (_, i) => work(`k${i}`)));
    const root = resolve(import.meta.dirname, '../../../..');
    const child = spawn(
      process.execPath,
      [
        '--conditions=source',
        '--import',
        './test/support/register-ts.mjs',
        'libs/persistence/testing/worker-process.ts',
      ].concat(database.url, QUEUE),
      { cwd: root, stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, NODE_OPTIONS: '' } },
    );
    const claimed: string[] = [];
    const lines = createInterface({ input: child.stdout });
    lines.on('line', (line) => claimed.push(line));
    await until(() => claimed.length === 5);
    child.kill('SIGKILL');
    await once(child, 'exit');

    const taken = new Map<string, number>();
    const worker: Worker = {
      queue: QUEUE,
      concurrency: 8,
      writes: [],
      run: async ({ key, claims }) => {
        taken.set(key, claims);
        return { position: 2n };
      },
    };
    // With the timing of production.
    const workers = new Workers({ dataSource, queue, workers: [worker] });
    started.push(workers);
    await workers.start();
    await until(() => taken.size === 5);

    expect([...taken.values()]).toEqual([2, 2, 2, 2, 2]);
  });

  test('that was taken for dead drops what it does, and its late outcome changes nothing', async () => {
    const runs: { claims: number; crashes: number | undefined; signal: AbortSignal; finish: () => void }[] = [];
    await start(
      async ({ claims, crashes }, signal) => {
        await new Promise<void>((finish) => runs.push({ claims, crashes: crashes ?? 0, signal, finish }));
        return { position: 2n };
      },
      {},
      QUICK,
    );
    await schedule(work('a'));
    await until(() => runs.length === 1);

    await dataSource.query('delete from views.processes');
    await until(() => runs[0]!.signal.aborted);
    runs[0]!.finish();
    await until(() => runs.length === 2);

    expect(runs[1]!.claims).toBe(2);
    expect(runs.map(({ crashes }) => crashes)).toEqual([0, 1]);
    expect(await stateOf('a')).toBe('claimed');
    runs[1]!.finish();
    await until(async () => (await stateOf('a')) === 'resting');
    // A try that ends well is the end of the count.
    expect(await dataSource.query('select crashes from views.work')).toEqual([{ crashes: 0 }]);
  });

  test('that cannot renew its lease aborts its work before others may take it, and claims again afterwards', async () => {
    const signals: AbortSignal[] = [];
    await start(
      async (_, signal) => {
        signals.push(signal);
        if (signals.length === 1) await once(signal, 'abort');
        return { position: 2n };
      },
      {},
      QUICK,
    );
    await schedule(work('a'));
    await until(() => signals.length === 1);

    await dataSource.transaction(async (tx) => {
      await tx.query('lock table views.processes in exclusive mode');
      await until(() => signals[0]!.aborted);
    });
    await until(async () => (await stateOf('a')) === 'resting');
    expect(signals).toHaveLength(2);
  });

  test('that stops lets its work finish, then gives back what does not', async () => {
    const ended: string[] = [];
    const workers = await start(async ({ key }, signal) => {
      if (key === 'long') await once(signal, 'abort');
      else await new Promise((done) => setTimeout(done, 50));
      if (signal.aborted) throw signal.reason;
      ended.push(key);
      return { position: 2n };
    });
    await schedule(work('long'), work('short'));
    await until(() => workers.busy().get(QUEUE) === 2);
    started.splice(0);
    await workers.stop(300);
    expect(ended).toEqual(['short']);
    expect(await stateOf('short')).toBe('resting');
    expect(await stateOf('long')).toBe('ready');
    expect(await dataSource.query('select * from views.processes')).toEqual([]);
  });
});

describe('two processes', () => {
  test('share the work, each row done by one of them', async () => {
    const by = new Map<string, string[]>();
    const run =
      (who: string): Worker['run'] =>
      async ({ key }) => {
        by.set(key, [...(by.get(key) ?? []), who]);
        await new Promise((done) => setTimeout(done, 2));
        return { position: 2n };
      };
    await start(run('one'));
    await start(run('other'));
    await schedule(...Array.from({ length: 200 }, (_, i) => work(`k${i}`)));
    await until(() => by.size === 200);
    expect([...by.values()].every((whom) => whom.length === 1)).toBe(true);
    expect(new Set([...by.values()].flat())).toEqual(new Set(['one', 'other']));
  });
});
