import { beforeEach, describe, expect, it } from '@jest/globals';

import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import type { EventToAppend, ExpectedRevision, RecordedEvent } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { eventIdOf, MAX_HOPS } from '#libs/events/src/envelope.js';
import type { TriggerDecision } from '#libs/events/src/shapes/decision-shape.js';
import { streams } from '#libs/events/src/streams.js';
import { FixedClock } from '#libs/kernel/src/clock.js';
import { Transient } from '#libs/kernel/src/errors.js';
import { uuid7 } from '#libs/kernel/src/ids.js';
import type { Settings } from '#libs/kernel/src/settings.js';

import { openBudget } from '../../../event-index/testing/open-budget.js';
import { noTransaction, noWork } from '../../../persistence/testing/no-work.js';
import { testSteps } from '../../testing/library.js';
import { StartRuns } from '../run/start.subscriber.js';
import { save, SaveWorkflow, workflow, workflowIdOf } from '../workflow/workflow.js';

const ORG = 'org_1';
const clock = new FixedClock();
const settings = { retrySchedule: [60_000] } as unknown as Settings;

/** A log whose appends to streams of decisions fail when asked to, after they were done. */
class FlakyEventStore extends MemoryEventStore {
  fails = false;
  override async append(stream: string, events: readonly EventToAppend[], expected: ExpectedRevision) {
    const result = await super.append(stream, events, expected);
    if (this.fails && stream.startsWith(streams.triggers(ORG, 0n))) throw new Transient('log.unavailable', 'gone');
    return result;
  }
}
let store: FlakyEventStore;
let subscriber: StartRuns;

beforeEach(() => {
  store = new FlakyEventStore();
  subscriber = start();
});
const start = (budget = openBudget(store)) => new StartRuns(store, clock, settings, testSteps, budget, noWork);

async function append(stream: string, type: string, data: object, hop = 0): Promise<RecordedEvent> {
  const id = uuid7();
  const cause = { $correlationId: id, $causationId: id, hop };
  const context = { id, orgId: ORG, actor: 'token/t', source: 'github', now: clock.now(), cause };
  await store.append(stream, [newEvent({ type, data }, context)], 'any');
  return (await store.readStream(stream, { direction: 'backwards', limit: 1 }))[0]!;
}
const push = (data: object = {}, hop = 0) => append(`test-${uuid7()}`, 'git.push', data, hop);

async function saved(name: string, triggers: string, more = ''): Promise<string> {
  const source = `name: ${name}\n${more}triggers: [${triggers}]\nsteps: [{ uses: echo, with: { value: 1 } }]\n`;
  const id = workflowIdOf(ORG, name);
  const command = new SaveWorkflow(id, { orgId: ORG, actor: 'token/t' }, name, source, 'api');
  for (const { type, data } of save(workflow.initial, command, clock.now()))
    await subscriber.handle([await append(streams.workflow(id), type, data)], noTransaction);
  return id;
}
const change = async (id: string, name: string, type: string) =>
  subscriber.handle([await append(streams.workflow(id), type, { workflowId: id, name, reason: 'x' })], noTransaction);

async function records(): Promise<readonly RecordedEvent<'trigger.evaluated'>[]> {
  const { events } = await store.readAll({ limit: 1_000, filter: { types: ['trigger.evaluated'] } });
  return events.flatMap((event) => (event.is('trigger.evaluated') ? [event] : []));
}
/** Decisions by event, in the order of the log. */
async function decisions(): Promise<readonly (readonly [string, TriggerDecision])[]> {
  return (await records()).flatMap(({ data }) =>
    data.events.flatMap(({ eventId, decisions: all }) => all.map((one) => [eventId, one] as const)),
  );
}
const started = async () =>
  (await store.readAll({ limit: 1_000, filter: { types: ['workflow.started'] } })).events.length;

describe('a trigger whose type and source fit', () => {
  it('says which condition failed, and what it saw', async () => {
    const workflowId = await saved('deploy', '{ type: event, event: git.push, branches: [main] }');
    const event = await push({ branch: 'topic' });
    await subscriber.handle([event], noTransaction);
    const [[eventId, decision]] = (await decisions()) as [[string, TriggerDecision]];
    expect(eventId).toBe(eventIdOf(event.id));
    expect(decision).toEqual({
      workflowId,
      workflow: 'deploy',
      version: expect.any(String),
      trigger: 0,
      outcome: 'not_matched',
      failed: {
        pointer: '/triggers/0/branches',
        condition: 'data.branch fits main',
        field: 'data.branch',
        actual: 'topic',
        expected: ['main'],
      },
    });
  });

  it('leaves no record of its own where the run starts: the run says so', async () => {
    await saved('deploy', '{ type: event, event: git.push }');
    await subscriber.handle([await push()], noTransaction);
    expect([await started(), await records()]).toEqual([1, []]);
  });

  it('leaves no decision where the source is another one', async () => {
    await saved('deploy', '{ type: event, event: git.push, source: slack }');
    await subscriber.handle([await push()], noTransaction);
    expect(await records()).toEqual([]);
  });

  it('is asked in turn: the first one that the event fits starts the run', async () => {
    const on = (branch: string) => `{ type: event, event: git.push, branches: [${branch}] }`;
    await saved('deploy', [on('a'), on('main'), on('b')].join(', '));
    await subscriber.handle([await push({ branch: 'main' })], noTransaction);
    expect(await started()).toBe(1);
    expect((await decisions()).map(([, { trigger, outcome }]) => [trigger, outcome])).toEqual([[0, 'not_matched']]);
  });

  it.each([
    ['workflow.paused', 'paused'],
    ['workflow.archived', 'archived'],
  ])('is skipped after %s, and asked all the same', async (type, reason) => {
    const id = await saved('deploy', '{ type: event, event: git.push, branches: [main] }');
    await change(id, 'deploy', type);
    await subscriber.handle([await push({ branch: 'main' }), await push({ branch: 'topic' })], noTransaction);
    expect(await started()).toBe(0);
    expect((await decisions()).map(([, decision]) => [decision.outcome, decision.reason])).toEqual([
      ['skipped', reason],
      ['not_matched', undefined],
    ]);
  });

  it('is skipped where the workflow is disabled', async () => {
    await saved('deploy', '{ type: event, event: git.push }', 'disabled: true\n');
    await subscriber.handle([await push()], noTransaction);
    expect(await decisions()).toMatchObject([[expect.any(String), { outcome: 'skipped', reason: 'disabled' }]]);
  });

  it('is skipped where the event has too many causes, or its story too many events', async () => {
    subscriber = start(openBudget(store, 1));
    await saved('deploy', '{ type: event, event: git.push }');
    const first = await push();
    const cause = { $correlationId: first.id, $causationId: first.id, hop: 1 };
    const context = { id: uuid7(), orgId: ORG, actor: 'x', source: 'github', now: clock.now(), cause };
    await store.append('test-next', [newEvent({ type: 'git.push', data: {} }, context)], 'any');
    const [next] = await store.readStream('test-next', { limit: 1 });
    await subscriber.handle([next!, await push({}, MAX_HOPS)], noTransaction);
    expect((await decisions()).map(([, { outcome, reason }]) => [outcome, reason]).sort()).toEqual([
      ['skipped', 'budget'],
      ['skipped', 'loop'],
    ]);
  });

  it('is errored where its condition cannot be evaluated, and does not stop the next one', async () => {
    const costly = `data.list ${'| [@, @][]'.repeat(40)}`;
    const triggers = `{ type: event, event: git.push, when: "${costly}" }, { type: event, event: git.push }`;
    await saved('deploy', triggers);
    await subscriber.handle([await push({ list: [1] })], noTransaction);
    expect(await decisions()).toMatchObject([[expect.any(String), { trigger: 0, outcome: 'errored' }]]);
    expect(await started()).toBe(1);
  });
});

describe('the record of decisions', () => {
  const onMain = '{ type: event, event: git.push, branches: [main] }';

  it('is one append for all events of a batch and all workflows', async () => {
    for (const name of ['a', 'b', 'c']) await saved(name, onMain);
    await subscriber.handle([await push(), await push(), await push()], noTransaction);
    expect(await records()).toHaveLength(1);
    expect(await decisions()).toHaveLength(9);
  });

  it('has every event once, whatever was handled again and by whom', async () => {
    await saved('deploy', onMain);
    const events = [await push(), await push(), await push()];
    store.fails = true;
    await expect(subscriber.handle(events.slice(0, 2), noTransaction)).rejects.toThrow('gone');
    store.fails = false;
    await subscriber.handle(events, noTransaction);
    const other = start();
    other.tables[0].clear();
    for (const event of (await store.readAll({ limit: 1_000 })).events)
      if (event.is(...other.tables[0].reads)) other.tables[0].apply(event);
    await other.handle(events, noTransaction);
    expect((await decisions()).map(([eventId]) => eventId)).toEqual(events.map(({ id }) => eventIdOf(id)));
  });

  it('splits what is too much for one record', async () => {
    for (let n = 0; n < 250; n++) await saved(`w${n}`, onMain);
    await subscriber.handle([await push()], noTransaction);
    const all = await decisions();
    expect(new Set(all.map(([, { workflowId }]) => workflowId)).size).toBe(250);
    expect(all).toHaveLength(250);
  });

  it('leads to none in turn, so that nothing runs for ever', async () => {
    await saved('deploy', '{ type: event, event: trigger.evaluated, when: data.nothing }');
    await saved('other', onMain);
    await subscriber.handle([await push()], noTransaction);
    const [record] = await records();
    await subscriber.handle([record!], noTransaction);
    expect(await records()).toHaveLength(1);
  });
});
