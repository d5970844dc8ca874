import { beforeEach, describe, expect, it } from '@jest/globals';

import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { readWhole } from '#libs/event-store/src/reading.js';
import { streams } from '#libs/events/src/streams.js';
import { FixedClock } from '#libs/kernel/src/clock.js';
import { uuid7 } from '#libs/kernel/src/ids.js';

import { testSteps } from '../../../testing/library.js';
import { parseWorkflow } from '../../language/reading/parse-workflow.js';
import { cancelRun } from '../commands/cancel-run.js';
import { concurrencyOf } from '../first-append.js';
import { runUntilIdle } from '../advance/run-until-idle.js';
import { isArrival } from './turns.js';

const parsed = parseWorkflow(
  `name: nap
concurrency: { whileWaiting: release }
steps: [{ id: nap, wait: { for: 1h } }, { id: one, uses: echo, with: { value: 1 } }]
finally: [{ id: last, uses: echo, with: { value: 2 } }]
`,
  testSteps,
);
if (!parsed.ok) throw new Error(parsed.problems[0]!.detail);
const { definition } = parsed;

const RUN = 'run_1';
let store: MemoryEventStore;
let clock: FixedClock;
/** Positions of arrivals for which the run has a turn. */
let turns: Set<bigint>;
beforeEach(async () => {
  clock = new FixedClock('2026-11-20T08:00:00Z');
  store = new MemoryEventStore(() => clock.now());
  turns = new Set();
  const started = {
    runId: RUN,
    workflowId: 'wf_1',
    workflow: 'nap',
    version: 'v',
    trigger: { kind: 'manual' },
    inputs: {},
    settings: { retrySchedule: [] },
    hop: 0,
    concurrency: concurrencyOf('wf_1', definition, {}, undefined),
  };
  const status = { runId: RUN, workflowId: 'wf_1', workflow: 'nap', to: 'queued' };
  const context = { orgId: 'org_1', actor: 'x', now: clock.now(), subject: `run/${RUN}` };
  const events = [
    newEvent({ type: 'workflow.started', data: started }, { ...context, id: uuid7() }),
    newEvent({ type: 'workflow.status_changed', data: status }, { ...context, id: uuid7() }),
  ];
  await store.append(streams.run(RUN), events, 'no-stream');
});

const stream = () => readWhole(store, streams.run(RUN));
const giveTurn = async () => turns.add((await stream()).findLast(isArrival)!.position);
/** A worker takes the run up. @returns what it records. */
async function takeUp(): Promise<string[]> {
  const before = (await stream()).length;
  const ports = {
    store,
    clock,
    definition: () => Promise.resolve(definition),
    outcomes: () => Promise.resolve(new Map()),
    makeAttempt: () => Promise.resolve(null),
    hasTurn: (_: string, arrival: bigint) => Promise.resolve(turns.has(arrival)),
    earlyMs: 0,
  };
  await runUntilIdle(ports, RUN, new AbortController().signal);
  return (await stream()).slice(before).map(({ type }) => type);
}
const cancel = async () => {
  const before = (await stream()).length;
  await cancelRun(
    store,
    { runId: RUN, by: 'x' },
    () => clock.now(),
    () => Promise.resolve(definition),
  );
  return (await stream()).slice(before).map(({ type }) => type);
};

describe('a run with whileWaiting: release', () => {
  it('does nothing without a turn, however often it is taken up', async () => {
    expect(await takeUp()).toEqual([]);
    await giveTurn();
    expect(await takeUp()).toContain('run.rested');
  });

  it('gives its place away when it rests, asks for one when it is due, and goes on with the turn for that', async () => {
    await giveTurn();
    await takeUp();
    expect((await stream()).at(-1)!.data).toMatchObject({ released: true, until: '2026-11-20T09:00:00.000Z' });
    clock.advance(3_600_000);
    expect(await takeUp()).toEqual(['run.woken', 'workflow.status_changed']);
    // The turn that it had before is another's now.
    expect(await takeUp()).toEqual([]);
    await giveTurn();
    const rest = await takeUp();
    expect(rest[0]).toBe('workflow.status_changed');
    expect(rest).toEqual(expect.arrayContaining(['workflow.step_completed', 'workflow.completed']));
  });

  it('has its last steps if it is cancelled while it queues again, and none if it never began', async () => {
    await giveTurn();
    await takeUp();
    clock.advance(3_600_000);
    await takeUp();
    expect(await cancel()).toEqual(['run.finally_started']);
    expect(await takeUp()).toEqual([]);
    await giveTurn();
    expect(await takeUp()).toEqual(expect.arrayContaining(['workflow.step_completed', 'run.cancelled']));
  });

  it('is over at once if it is cancelled before its first turn', async () => {
    expect(await cancel()).toEqual(['run.cancelled', 'workflow.status_changed']);
  });
});

it('a run that keeps its place needs no turn of its own to go on', () => {
  const { concurrency } = definition;
  const held = { ...definition, concurrency: { ...concurrency!, whileWaiting: 'hold' as const } };
  expect(concurrencyOf('wf_1', held, {}, undefined)).not.toHaveProperty('whileWaiting');
});
