import { beforeEach, describe, expect, it } from '@jest/globals';
import { array, assert, asyncProperty, boolean, constant, integer, oneof, record } from 'fast-check';

import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { readWhole } from '#libs/event-store/src/reading.js';
import { streams } from '#libs/events/src/streams.js';
import { FixedClock } from '#libs/kernel/src/clock.js';
import { uuid7 } from '#libs/kernel/src/ids.js';
import { PostgresWorkQueue } from '#libs/persistence/src/claims/work-queue.adapter.js';
import type { ClaimedWork } from '#libs/persistence/src/claims/work.js';

import { useViews } from '../../../../../test/support/views.js';
import { Follower } from '../../../../persistence/testing/follower.js';
import { RUNS } from '../advance-run.worker.js';
import { hasTurn } from './turns.adapter.js';
import { IN_ORDER, isArrival } from './turns.js';
import { type ConflictTask, CONFLICTS, EndConflicts } from './end-conflicts.worker.js';
import { RunProjection } from '../run.projection.js';

const views = useViews();
const clock = new FixedClock('2026-11-20T08:00:00Z');
let store: MemoryEventStore;
let follower: Follower;

beforeEach(begin);
function begin(): void {
  store = new MemoryEventStore(() => clock.now());
  follower = new Follower(store, views.dataSource);
}

const ofRun = (runId: string) => ({ runId, workflowId: 'wf_1', workflow: 'deploy' });
async function append(runId: string, ...drafts: { type: string; data: object }[]): Promise<void> {
  const events = drafts.map((draft) =>
    newEvent(draft, { id: uuid7(), orgId: 'org_1', actor: 'x', now: clock.now(), subject: `run/${runId}` }),
  );
  await store.append(streams.run(runId), events, 'any');
}
type Concurrency = { limit?: number; onConflict?: string; maxQueued?: number; whileWaiting?: 'release' };
const start = (runId: string, concurrency: Concurrency = {}) =>
  append(
    runId,
    {
      type: 'workflow.started',
      data: {
        ...ofRun(runId),
        version: 'v',
        trigger: { kind: 'manual' },
        inputs: {},
        settings: { retrySchedule: [] },
        hop: 0,
        concurrency: { key: 'k', limit: 1, onConflict: 'queue', maxQueued: 100, ...concurrency },
      },
    },
    { type: 'workflow.status_changed', data: { ...ofRun(runId), to: 'queued' } },
  );
const complete = (runId: string) =>
  append(runId, { type: 'workflow.completed', data: { ...ofRun(runId), outputs: {}, startedAt: '' } });
const cancel = (runId: string) => append(runId, { type: 'run.cancelled', data: { runId, by: 'token/t' } });

const rest = (runId: string) => append(runId, { type: 'run.rested', data: { runId, awaiting: [], released: true } });
const wake = (runId: string, limit = 1) =>
  append(
    runId,
    { type: 'run.woken', data: { runId, concurrency: { key: 'k', limit, ...IN_ORDER, whileWaiting: 'release' } } },
    { type: 'workflow.status_changed', data: { ...ofRun(runId), to: 'queued' } },
  );
/** Whether a worker that takes the run up may go on with it. */
async function mayGoOn(runId: string): Promise<boolean> {
  const stream = await readWhole(store, streams.run(runId));
  const arrival = stream.findLast(isArrival)!;
  const isResting = stream.some((event) => event.is('run.rested') && event.revision > arrival.revision);
  return !isResting && (await hasTurn(views.dataSource, runId, arrival.position));
}

const follow = (crash = false) => follower.run(new RunProjection(new PostgresWorkQueue(views.dataSource)), crash);
const rows = <T extends object>(queue: string) =>
  views.dataSource.query<{ key: string; payload: T }[]>(
    'select key, payload from views.work where queue = $1 order by key',
    [queue],
  );
const underWay = async () => (await rows(RUNS)).map(({ key }) => key);
async function endConflicts(): Promise<void> {
  for (const { key, payload } of await rows<ConflictTask>(CONFLICTS))
    await new EndConflicts(store, clock, () => Promise.resolve(undefined)).run({
      key,
      payload,
    } as ClaimedWork<ConflictTask>);
  await follow();
}
const typesOf = async (runId: string) => (await readWhole(store, streams.run(runId))).map(({ type }) => type);

describe('runs that share a limit', () => {
  it('have their turn one after the other, also when the process dies at any batch', async () => {
    await start('run_1');
    await start('run_2');
    await follow(true);
    await follow();
    expect(await underWay()).toEqual(['run_1']);
    await complete('run_1');
    await follow(true);
    expect(await underWay()).toEqual(['run_1']);
    await follow();
    expect(await underWay()).toEqual(['run_2']);
  });

  it('say that they were skipped, once', async () => {
    await start('run_1', { onConflict: 'skip' });
    await start('run_2', { onConflict: 'skip' });
    await follow();
    const [row] = await rows<ConflictTask>(CONFLICTS);
    await endConflicts();
    // A worker that claimed it before.
    await new EndConflicts(store, clock, () => Promise.resolve(undefined)).run(row as ClaimedWork<ConflictTask>);
    expect(await typesOf('run_2')).toEqual([
      'workflow.started',
      'workflow.status_changed',
      'workflow.skipped',
      'workflow.status_changed',
    ]);
    expect(await rows(CONFLICTS)).toEqual([]);
    expect(await underWay()).toEqual(['run_1']);
  });

  it('cancel the one before, and begin when its end is in the log', async () => {
    await start('run_1', { onConflict: 'cancel_running' });
    await start('run_2', { onConflict: 'cancel_running' });
    await follow();
    expect(await underWay()).toEqual(['run_1']);
    await endConflicts();
    expect((await readWhole(store, streams.run('run_1'))).find((event) => event.is('run.cancelled'))?.data).toEqual({
      runId: 'run_1',
      by: 'run/run_2',
    });
    expect(await underWay()).toEqual(['run_2']);
  });

  it('leave a run alone that has ended by itself before it could be cancelled', async () => {
    await start('run_1', { onConflict: 'cancel_running' });
    await start('run_2', { onConflict: 'cancel_running' });
    await follow();
    await complete('run_1');
    await endConflicts();
    expect(await typesOf('run_1')).not.toContain('run.cancelled');
    expect(await underWay()).toEqual(['run_2']);
  });

  it('give their place away while they wait, and queue for one when they go on', async () => {
    await start('run_1', { whileWaiting: 'release' });
    await start('run_2', { whileWaiting: 'release' });
    await follow();
    expect([await mayGoOn('run_1'), await mayGoOn('run_2')]).toEqual([true, false]);
    await rest('run_1');
    await follow(true);
    await follow();
    expect(await underWay()).toEqual(['run_2']);
    await wake('run_1');
    // As long as the projection is behind, nobody takes the turn from before for the one that is asked for.
    expect(await mayGoOn('run_1')).toBe(false);
    await follow(true);
    await follow();
    expect(await underWay()).toEqual(['run_2']);
    await complete('run_2');
    await follow();
    expect(await underWay()).toEqual(['run_1']);
    expect(await mayGoOn('run_1')).toBe(true);
  });

  it('give their place away although somebody is about to cancel them', async () => {
    const replacing = { onConflict: 'cancel_running', whileWaiting: 'release' } as const;
    await start('run_1', replacing);
    await start('run_2', replacing);
    await follow();
    await rest('run_1');
    await follow();
    expect(await underWay()).toEqual(['run_2']);
    await endConflicts();
    expect(await typesOf('run_1')).toContain('run.cancelled');
  });

  it('keep the limit and the order, and forget none, whatever comes, waits, goes on, ends and dies', async () => {
    const which = integer({ min: 0, max: 9 });
    const happening = oneof(
      record({ kind: constant('start' as const) }),
      record({ kind: constant('end' as const), which, cancels: boolean() }),
      record({ kind: constant('wait' as const), which }),
      record({ kind: constant('wake' as const), which }),
      record({ kind: constant('follow' as const), dies: boolean() }),
    );
    await assert(
      asyncProperty(array(happening, { maxLength: 25 }), integer({ min: 1, max: 3 }), async (all, limit) => {
        begin();
        await views.dataSource.query('delete from views.work');
        await views.dataSource.query('delete from views.run_turns');
        /** Those that are there, in the order in which they came or came back, and those that wait. */
        let living: string[] = [];
        let waiting: string[] = [];
        let arrivals = 0;
        const came = new Map<string, number>();
        const seen: number[] = [];
        let count = 0;
        const look = async (): Promise<string[]> => {
          const now: string[] = [];
          for (const id of living) if (await mayGoOn(id)) now.push(id);
          expect(now.length).toBeLessThanOrEqual(limit);
          const taken = await underWay();
          expect(now.filter((id) => !taken.includes(id))).toEqual([]);
          seen.push(...now.map((id) => came.get(id)!).filter((arrival) => !seen.includes(arrival)));
          return now;
        };
        const come = (id: string): void => {
          came.set(id, arrivals++);
          living.push(id);
        };
        const end = async (runId: string, cancels: boolean): Promise<void> => {
          living = living.filter((id) => id !== runId);
          waiting = waiting.filter((id) => id !== runId);
          await (cancels ? cancel(runId) : complete(runId));
        };
        const goOn = async (runId: string): Promise<void> => {
          waiting = waiting.filter((id) => id !== runId);
          come(runId);
          await wake(runId, limit);
        };
        for (const one of all) {
          const ready = await look();
          if (one.kind === 'start') {
            const id = `run_${String(count++).padStart(3, '0')}`;
            come(id);
            await start(id, { limit, whileWaiting: 'release' });
          } else if (one.kind === 'end') {
            // Who has no turn cannot complete.
            const some = one.cancels ? [...living, ...waiting] : ready;
            if (some.length > 0) await end(some[one.which % some.length]!, one.cancels);
          } else if (one.kind === 'wait' && ready.length > 0) {
            const id = ready[one.which % ready.length]!;
            living = living.filter((other) => other !== id);
            waiting.push(id);
            await rest(id);
          } else if (one.kind === 'wake' && waiting.length > 0) await goOn(waiting[one.which % waiting.length]!);
          else if (one.kind === 'follow') await follow(one.dies);
          await look();
        }
        for (const id of waiting) await goOn(id);
        await follow();
        while (living.length > 0) {
          expect(await look()).toEqual(living.slice(0, limit));
          await end(living[0]!, false);
          await follow();
        }
        expect(seen).toEqual(seen.toSorted((a, b) => a - b));
        expect(await underWay()).toEqual([]);
        expect(await views.dataSource.query('select * from views.run_turns')).toEqual([]);
      }),
      { numRuns: 25 },
    );
  });

  it('writes the rows that change, however long the queue is', async () => {
    for (let nth = 0; nth < 200; nth++) await start(`run_${String(nth).padStart(3, '0')}`, { maxQueued: 1_000 });
    await follow();
    const written = () =>
      views.dataSource.query<{ run_id: string; xmin: string }[]>(
        'select run_id, xmin::text as xmin from views.run_turns order by run_id',
      );
    const before = new Map((await written()).map(({ run_id, xmin }) => [run_id, xmin]));
    expect(before.size).toBe(200);
    await start('run_last', { maxQueued: 1_000 });
    await complete('run_000');
    await follow();
    const changed = (await written()).filter(({ run_id, xmin }) => before.get(run_id) !== xmin);
    expect(changed.map(({ run_id }) => run_id)).toEqual(['run_001', 'run_last']);
  });
});
