import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import pg from 'pg';

import { PostgresEventStore } from '#libs/event-store/src/adapters/postgres/postgres-event-store.adapter.js';
import { streams } from '#libs/events/src/streams.js';
import { uuid7 } from '#libs/kernel/src/ids.js';

import { createTestDatabase, type TestDatabase } from '../../../test/support/database.js';

const ROOT = resolve(import.meta.dirname, '../../..');
const METADATA = JSON.stringify({
  ...{ source: 'millrace', subject: '', orgId: 'org_1', timestamp: '2026-11-20T13:14:15.123Z', actor: 'millrace' },
  ...{ $correlationId: uuid7(), hop: 0, schemaVersion: 1 },
});

let database: TestDatabase;
let admin: pg.Client;
let store: PostgresEventStore;
let children: ChildProcess[];

beforeEach(async () => {
  database = await createTestDatabase();
  admin = new pg.Client({ connectionString: database.url });
  await admin.connect();
  await admin.query('create table seen (n int not null, by text not null)');
  store = await PostgresEventStore.open({ connectionString: database.url });
  children = [];
});

afterEach(async () => {
  for (const child of children) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const exited = once(child, 'exit');
    child.stdin?.end();
    await exited;
  }
  await store.close();
  await admin.end();
  await database.drop();
});

async function append(from: number, count: number): Promise<bigint> {
  const events = Array.from({ length: count }, (_, i) => ({
    id: uuid7(),
    type: 'thing.happened',
    data: JSON.stringify({ n: from + i }),
    metadata: METADATA,
  }));
  return (await store.append(`numbers-${from}`, events, 'no-stream')).position;
}

class Child {
  private constructor(
    readonly process: ChildProcess,
    private readonly said: Set<string>,
    private readonly wakes: Set<() => void>,
  ) {}

  static start(upTo: bigint, crashAt = ''): Child {
    const child = spawn(
      process.execPath,
      [
        '--conditions=source',
        '--import',
        './test/support/register-ts.mjs',
        'libs/persistence/testing/runner-process.ts',
        database.url,
        String(upTo),
      ],
      {
        cwd: ROOT,
        stdio: ['pipe', 'pipe', 'inherit'],
        env: { ...process.env, NODE_OPTIONS: '', MILLRACE_CRASH_AT: crashAt },
      },
    );
    children.push(child);
    const [said, wakes] = [new Set<string>(), new Set<() => void>()];
    createInterface({ input: child.stdout }).on('line', (line) => {
      said.add(line);
      for (const wake of wakes) wake();
    });
    return new Child(child, said, wakes);
  }

  async says(line: string): Promise<void> {
    const exited = once(this.process, 'exit');
    while (!this.said.has(line)) {
      if (this.process.exitCode !== null || this.process.signalCode !== null)
        throw new Error(`it ended before "${line}"`);
      await Promise.race([new Promise<void>((done) => this.wakes.add(done)), exited]);
    }
  }

  async dies(): Promise<void> {
    if (this.process.signalCode === null) await once(this.process, 'exit');
    expect(this.process.signalCode).toBe('SIGKILL');
  }
}

const seen = async (): Promise<number[]> =>
  (await admin.query<{ n: number }>('select n from seen order by n')).rows.map(({ n }) => n);
const upTo = (count: number): number[] => Array.from({ length: count }, (_, n) => n);

describe('a view has every event exactly once', () => {
  test.each(['runner.before-commit:3', 'runner.after-commit:3'])('when its process dies at %s', async (crashAt) => {
    const position = await append(0, 60);
    await Child.start(position, crashAt).dies();
    const after = await seen();
    expect(after.length % 10).toBe(0);
    expect(after.length).toBe(crashAt.includes('before') ? 20 : 30);
    await Child.start(position).says('done');
    expect(await seen()).toEqual(upTo(60));
  });

  test('and what cannot be read is told once, when its process dies between telling and setting aside', async () => {
    await append(0, 5);
    const id = uuid7();
    await store.append('broken', [{ id, type: 'thing.happened', data: '', metadata: METADATA }], 'no-stream');
    const position = await append(5, 5);
    await Child.start(position, 'runner.unreadable-told').dies();
    await Child.start(position).says('done');
    expect(await seen()).toEqual(upTo(10));
    const parked = await admin.query('select event_id, reason from views.parked_events');
    expect(parked.rows).toEqual([
      { event_id: id, reason: `event ${id} cannot be read (stream broken, revision 0): its data is empty` },
    ]);
    expect(await store.readStream(streams.parked('test.view'))).toHaveLength(1);
  });

  test('when the active process is killed and another one takes over', async () => {
    const active = Child.start(await append(0, 20));
    await active.says('done');
    const heir = Child.start(await append(20, 20));
    await heir.says('done');
    expect(new Set((await admin.query<{ by: string }>('select by from seen')).rows.map(({ by }) => by)).size).toBe(1);

    active.process.kill('SIGKILL');
    const position = await append(40, 20);
    await active.dies();
    await heir.says('active');
    await Child.start(position).says('done');
    expect(await seen()).toEqual(upTo(60));
  });
});
