import { beforeEach, describe, expect, it } from '@jest/globals';

import type { Caller } from '#libs/access/src/caller.js';
import { DecisionSources } from '#libs/event-index/src/decision-sources.js';
import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { eventIdOf } from '#libs/events/src/envelope.js';
import type { WorkflowDecisionAnswer } from '#libs/events/src/shapes/decision-shape.js';
import { streams } from '#libs/events/src/streams.js';
import { FixedClock } from '#libs/kernel/src/clock.js';
import { uuid7 } from '#libs/kernel/src/ids.js';
import type { Settings } from '#libs/kernel/src/settings.js';
import { PostgresWorkQueue } from '#libs/persistence/src/claims/work-queue.adapter.js';

import { openBudget } from '../../../event-index/testing/open-budget.js';
import { useViews } from '../../../../test/support/views.js';
import { Follower } from '../../../persistence/testing/follower.js';
import { testSteps } from '../../testing/library.js';
import { RunProjection } from '../run/run.projection.js';
import { StartRuns } from '../run/start.subscriber.js';
import { WorkflowProjection } from '../workflow/workflow.projection.js';
import { save, SaveWorkflow, workflow, workflowIdOf } from '../workflow/workflow.js';
import { WorkflowView } from '../workflow/workflow.view.js';
import { WorkflowTable } from '../workflow/workflow.table.js';
import { TriggerDecisionController } from './trigger-decision.controller.js';
import { TriggerDecisionProjection } from './trigger-decision.projection.js';
import { WorkflowDecisions } from './workflow-decisions.adapter.js';

const ORG = 'org_1';
const caller: Caller = { orgId: ORG, actor: 'token/tok_1', tokenId: 'tok_1', roles: ['auditor'] };
const views = useViews({ entities: [WorkflowView] });
const clock = new FixedClock('2026-11-20T12:00:00Z');
let store: MemoryEventStore;
let follower: Follower;

beforeEach(async () => {
  store = new MemoryEventStore(() => clock.now());
  follower = new Follower(store, views.dataSource);
});

async function append(stream: string, type: string, data: object): Promise<string> {
  const id = uuid7();
  clock.advance(1_000);
  const context = { id, orgId: ORG, actor: 'x', source: 'github', now: clock.now() };
  await store.append(stream, [newEvent({ type, data }, context)], 'any');
  return eventIdOf(id);
}
const push = (branch: string) => append(`test-${uuid7()}`, 'git.push', { branch });

async function saved(name: string, more = ''): Promise<void> {
  const triggers =
    '{ type: event, event: git.push, branches: [topic] }, { type: event, event: git.push, branches: [main] }';
  const source = `name: ${name}\n${more}triggers: [${triggers}]\nsteps: [{ wait: { for: 1d } }]\n`;
  const id = workflowIdOf(ORG, name);
  const command = new SaveWorkflow(id, caller, name, source, 'api');
  for (const { type, data } of save(workflow.initial, command, clock.now()))
    await append(streams.workflow(id), type, data);
}

async function settle(): Promise<void> {
  const settings = { retrySchedule: [] } as unknown as Settings;
  await follower.run(
    new StartRuns(store, clock, settings, testSteps, openBudget(store), new PostgresWorkQueue(views.dataSource)),
  );
  await follower.run(new RunProjection(new PostgresWorkQueue(views.dataSource)));
  await follower.run(new TriggerDecisionProjection());
  await follower.run(new WorkflowProjection());
}

const sources = new DecisionSources();
const table = new WorkflowTable(testSteps);
const decisions = () => new WorkflowDecisions(views.dataSource, table, sources);
const controller = () => new TriggerDecisionController(views.dataSource, decisions());
type Shown = Pick<WorkflowDecisionAnswer, 'eventId' | 'trigger' | 'outcome'>;
const short = ({ eventId, trigger, outcome }: Shown) => `${eventId} ${trigger} ${outcome}`;

describe('decisions of workflows', () => {
  it('are told apart from triggers that have none, of which the nearest are named', async () => {
    await saved('a');
    const event = await push('main');
    await settle();
    await saved('b');
    table.clear();
    for (const one of (await store.readAll({ limit: 1_000 })).events) table.apply(one);
    const seen = { type: 'git.push', source: 'github', recordedAt: clock.now() };
    const found = await decisions().nearestTriggers(ORG, event, seen, 10);
    expect(found.map(({ workflow: name, trigger, reason }) => [name, trigger, reason])).toEqual([
      ['b', 0, 'changed_later'],
      ['b', 1, 'changed_later'],
    ]);
    expect(await decisions().nearestTriggers('org_2', event, seen, 10)).toEqual([]);
  });

  it('are listed by event with the run that started, workflow by workflow, page by page', async () => {
    await saved('a');
    await saved('b');
    const event = await push('main');
    await push('other');
    await settle();
    const query = { orgId: ORG, eventId: event, after: '' };
    const all = await decisions().decisionsOn(query, 10);
    expect(all.map(({ shown }) => short(shown as WorkflowDecisionAnswer))).toEqual(
      ['a', 'b'].flatMap(() => [`${event} 0 not_matched`, `${event} 1 started`]),
    );
    expect(all.map(({ shown }) => shown)).toMatchObject([
      { kind: 'workflow', workflow: expect.any(String), failed: { actual: 'main' } },
      { runId: expect.stringMatching(/^run_/) },
      { outcome: 'not_matched' },
      { outcome: 'started' },
    ]);
    const rest = await decisions().decisionsOn({ ...query, after: all[1]!.key }, 1);
    expect(rest).toEqual([all[2]]);
    expect(await decisions().decisionsOn({ ...query, orgId: 'org_2' }, 10)).toEqual([]);
  });

  it('are listed by workflow, newest first, by outcome and by time, page by page', async () => {
    await saved('a');
    await saved('b');
    const events: string[] = [];
    for (const branch of ['main', 'other', 'topic', 'main', 'other']) events.push(await push(branch));
    const middle = clock.now().toISOString();
    events.push(await push('topic'));
    await settle();
    const list = async (outcome?: string, from?: string, to?: string) => {
      const found: WorkflowDecisionAnswer[] = [];
      let cursor: string | undefined;
      do {
        const page = await controller().list(caller, 'a', outcome, '2', cursor, from, to);
        found.push(...page.data);
        cursor = page.nextCursor ?? undefined;
      } while (cursor !== undefined);
      return found.map(short);
    };
    const [one, two, three, four, five, six] = events as [string, string, string, string, string, string];
    const all = await list();
    expect(new Set(all).size).toBe(all.length);
    expect(all.toSorted()).toEqual(
      [
        [one, 0, 'not_matched'],
        [one, 1, 'started'],
        [two, 0, 'not_matched'],
        [two, 1, 'not_matched'],
        [three, 0, 'started'],
        [four, 0, 'not_matched'],
        [four, 1, 'started'],
        [five, 0, 'not_matched'],
        [five, 1, 'not_matched'],
        [six, 0, 'started'],
      ]
        .map(([eventId, trigger, outcome]) => `${eventId} ${trigger} ${outcome}`)
        .sort(),
    );
    expect((await list('started')).sort()).toEqual(
      [`${one} 1 started`, `${three} 0 started`, `${four} 1 started`, `${six} 0 started`].sort(),
    );
    expect(await list('skipped')).toEqual([]);
    expect(await list('not_matched')).toHaveLength(6);
    expect(await list('started', undefined, '2026-11-20T12:00:00Z')).toEqual([]);
    expect((await list(undefined, middle)).length).toBeGreaterThan(0);
    await expect(controller().list(caller, 'a', 'no')).rejects.toMatchObject({ code: 'decision.bad_outcome' });
    await expect(controller().list(caller, 'gone')).rejects.toMatchObject({ code: 'workflow.not_found' });
  });

  it('say that a run was skipped after all, where "concurrency" left no place for it', async () => {
    await saved('a', 'concurrency: { onConflict: skip }\n');
    await push('main');
    const second = await push('main');
    await settle();
    const { events } = await store.readAll({ limit: 100, filter: { types: ['workflow.started'] } });
    const { runId, workflowId, workflow: name } = events.at(-1)!.data as Record<string, string>;
    const about = { runId, workflowId, workflow: name };
    const stream = streams.run(runId!);
    await append(stream, 'workflow.skipped', { ...about, reason: 'running', detail: 'x' });
    await append(stream, 'workflow.status_changed', { ...about, from: 'queued', to: 'skipped' });
    await settle();
    const { data } = await controller().list(caller, 'a', 'skipped');
    expect(data).toMatchObject([{ eventId: second, outcome: 'skipped', reason: 'concurrency', runId }]);
  });
});
