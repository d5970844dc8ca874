import { beforeEach, describe, expect, it } from '@jest/globals';

import { DecisionSources } from '#libs/event-index/src/decision-sources.js';
import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import type { Progress, Subscriber } from '#libs/event-store/src/subscriber.js';
import { eventIdOf } from '#libs/events/src/envelope.js';
import type { WorkflowDecisionAnswer } from '#libs/events/src/shapes/decision-shape.js';
import { streams } from '#libs/events/src/streams.js';
import { FixedClock } from '#libs/kernel/src/clock.js';
import { uuid7 } from '#libs/kernel/src/ids.js';
import type { Settings } from '#libs/kernel/src/settings.js';
import { PostgresWorkQueue } from '#libs/persistence/src/claims/work-queue.adapter.js';
import type { ClaimedWork } from '#libs/persistence/src/claims/work.js';

import { openBudget } from '../../../../event-index/testing/open-budget.js';
import { useViews } from '../../../../../test/support/views.js';
import { Follower } from '../../../../persistence/testing/follower.js';
import { testSteps } from '../../../testing/library.js';
import { RunProjection } from '../../run/run.projection.js';
import { StartRuns } from '../../run/start.subscriber.js';
import { save, SaveWorkflow, workflow, workflowIdOf } from '../../workflow/workflow.js';
import { TriggerDecisionProjection } from '../trigger-decision.projection.js';
import { WorkflowDecisions } from '../workflow-decisions.adapter.js';
import { EndGroups } from './end-groups.worker.js';
import { GROUPS, type GroupTask, lastOfGroup } from './trigger-flow.adapter.js';

const ORG = 'org_1';
const views = useViews();
let store: MemoryEventStore;
let clock: FixedClock;
let follower: Follower;
beforeEach(async () => {
  clock = new FixedClock('2026-11-20T12:00:00Z');
  store = new MemoryEventStore(() => clock.now());
  follower = new Follower(store, views.dataSource);
});

const run = (subscriber: Subscriber, crash = false) => follower.run(subscriber, crash);
const decide = (crash = false) =>
  run(
    new StartRuns(
      store,
      clock,
      { retrySchedule: [] } as unknown as Settings,
      testSteps,
      openBudget(store),
      new PostgresWorkQueue(views.dataSource),
    ),
    crash,
  );

async function append(stream: string, type: string, data: object): Promise<string> {
  const id = uuid7();
  const context = { id, orgId: ORG, actor: 'x', source: 'github', now: clock.now() };
  await store.append(stream, [newEvent({ type, data }, context)], 'any');
  return eventIdOf(id);
}
const push = (branch = 'a') => append(`test-${uuid7()}`, 'git.push', { branch });

async function saved(control: string): Promise<void> {
  const given = control.startsWith('batch') ? 'events[].data.branch' : '[event.data.branch]';
  const source = `name: it\ntriggers: [{ type: event, event: git.push, when: data.branch != 'no', ${control} }]\nsteps: [{ id: one, uses: echo, with: { value: "\${{ ${given} }}" } }]\n`;
  const id = workflowIdOf(ORG, 'it');
  const command = new SaveWorkflow(id, { orgId: ORG, actor: 'token/t' }, 'it', source, 'api');
  for (const { type, data } of save(workflow.initial, command, clock.now()))
    await append(streams.workflow(id), type, data);
}

/** What the step of each run was given. */
const ran = async (): Promise<readonly unknown[]> =>
  (await store.readAll({ limit: 10_000, filter: { types: ['workflow.step_completed'] } })).events.map(
    ({ data }) => (data as { output: unknown }).output,
  );

const progress: Progress = { whenProcessed: () => decide() };
const worker = () => new EndGroups({ store, clock, progress, lastOf: (group) => lastOfGroup(views.dataSource, group) });
async function tasks(): Promise<readonly ClaimedWork<GroupTask>[]> {
  const rows = await views.dataSource.query<{ key: string; due_at: Date; payload: GroupTask; position: string }[]>(
    'select * from views.work where queue = $1 order by key',
    [GROUPS],
  );
  return rows.map(({ key, due_at: dueAt, payload, position }) => ({
    queue: GROUPS,
    key,
    dueAt,
    payload,
    position: BigInt(position),
    claims: 1,
  }));
}
async function endGroups(): Promise<void> {
  for (const task of (await tasks()).filter(({ dueAt }) => dueAt <= clock.now())) await worker().run(task);
  await decide();
}

/** Outcome of each event. */
async function outcomes(...events: readonly string[]): Promise<readonly string[]> {
  await run(new RunProjection(new PostgresWorkQueue(views.dataSource)));
  await run(new TriggerDecisionProjection());
  const decisions = new WorkflowDecisions(views.dataSource, { all: () => [] }, new DecisionSources());
  const found: string[] = [];
  for (const eventId of events) {
    const all = await decisions.decisionsOn({ orgId: ORG, eventId, after: '' }, 10);
    expect(all).toHaveLength(1);
    const { outcome, failed, runId } = all[0]!.shown as WorkflowDecisionAnswer;
    if (outcome === 'started') expect(runId).toMatch(/^run_/);
    found.push(outcome === 'skipped' && failed ? `skipped ${failed.pointer}` : outcome);
  }
  return found;
}

describe('throttle of a trigger', () => {
  it('starts so many runs in a period, for each key, over restarts', async () => {
    await saved('throttle: { key: "${{ data.branch }}", limit: 1, per: 1m }');
    const events = [await push('a'), await push('b'), await push('a')];
    await decide();
    clock.advance(60_000);
    events.push(await push('a'));
    await decide(true);
    await decide();
    const held = 'skipped /triggers/0/throttle';
    expect(await outcomes(...events)).toEqual(['started', 'started', held, 'started']);
    expect(await ran()).toHaveLength(3);
  });
});

describe('debounce of a trigger', () => {
  it('starts a run for the last of a burst once it is quiet, once, however often processes die', async () => {
    await saved('debounce: { quiet: 1m }');
    const events = [await push('a'), await push('b'), await push('no')];
    await decide(true);
    await decide();
    clock.advance(59_000);
    await endGroups();
    expect(await ran()).toEqual([]);
    clock.advance(1_000);
    const [task] = await tasks();
    await Promise.all([worker().run(task!), worker().run(task!)]);
    await decide(true);
    await decide();
    await worker().run(task!);
    await decide();
    expect(await ran()).toEqual([['b']]);
    const held = 'skipped /triggers/0/debounce';
    expect(await outcomes(...events)).toEqual([held, 'started', 'not_matched']);
    expect(await tasks()).toEqual([]);
    expect(await views.dataSource.query('select * from views.trigger_groups')).toEqual([]);
  });

  it('goes on with an event that came before its end was told', async () => {
    await saved('debounce: { quiet: 1m }');
    await push('a');
    await decide();
    clock.advance(59_999);
    const [task] = await tasks();
    await push('b');
    clock.advance(1);
    await worker().run(task!);
    await decide();
    expect(await ran()).toEqual([]);
    clock.advance(60_000);
    await endGroups();
    expect(await ran()).toEqual([['b']]);
  });

  it('counts for the throttle when the burst ends', async () => {
    await saved('debounce: { quiet: 1m }, throttle: { limit: 1, per: 1h }');
    const first = await push('a');
    await decide();
    clock.advance(60_000);
    await endGroups();
    const second = await push('b');
    await decide();
    clock.advance(60_000);
    await endGroups();
    expect(await outcomes(first, second)).toEqual(['started', 'skipped /triggers/0/throttle']);
  });
});

describe('batch of a trigger', () => {
  const batch = 'batch: { size: 3, timeout: 10m }';

  it('starts one run when it is full, with its events in scope', async () => {
    await saved(batch);
    const events = [await push('a'), await push('b')];
    await decide();
    events.push(await push('c'), await push('d'));
    await decide(true);
    await decide();
    expect(await ran()).toEqual([['a', 'b', 'c']]);
    expect(await outcomes(...events)).toEqual(['started', 'started', 'started', 'skipped /triggers/0/batch']);
  });

  it('starts one after its time with what came, each event once over crashes', async () => {
    await saved(batch);
    const events = [await push('a'), await push('b')];
    await decide(true);
    await decide();
    clock.advance(600_000);
    const [task] = await tasks();
    await worker().run(task!);
    await decide(true);
    await decide();
    await endGroups();
    expect(await ran()).toEqual([['a', 'b']]);
    expect(await outcomes(...events)).toEqual(['started', 'started']);
    expect(await tasks()).toEqual([]);
  });

  it('keeps keys apart', async () => {
    await saved('batch: { size: 2, timeout: 10m, key: "${{ data.branch }}" }');
    for (const branch of ['a', 'b', 'a', 'b']) await push(branch);
    await decide();
    expect(await ran()).toEqual([
      ['a', 'a'],
      ['b', 'b'],
    ]);
  });

  it('is decided by the workflow as it is then: paused, it starts nothing and says so', async () => {
    await saved(batch);
    const event = await push('a');
    await decide();
    const workflowId = workflowIdOf(ORG, 'it');
    await append(streams.workflow(workflowId), 'workflow.paused', { workflowId, name: 'it' });
    clock.advance(600_000);
    await endGroups();
    expect(await ran()).toEqual([]);
    expect(await outcomes(event)).toEqual(['skipped']);
  });
});
