import { beforeEach, describe, expect, it, jest } from '@jest/globals';

import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { readWhole } from '#libs/event-store/src/reading.js';
import { eventIdOf, MAX_HOPS, runIdOf } from '#libs/events/src/envelope.js';
import { streams } from '#libs/events/src/streams.js';
import { FixedClock } from '#libs/kernel/src/clock.js';
import { uuid7 } from '#libs/kernel/src/ids.js';
import { parseAsWritten } from '#libs/kernel/src/text/exact-json.js';
import type { Settings } from '#libs/kernel/src/settings.js';

import { openBudget } from '../../../event-index/testing/open-budget.js';
import { noTransaction, noWork } from '../../../persistence/testing/no-work.js';
import { testSteps } from '../../testing/library.js';
import { StartRuns } from './start.subscriber.js';
import { save, workflow, workflowIdOf, SaveWorkflow } from '../workflow/workflow.js';

const ORG = 'org_1';
const clock = new FixedClock();
const settings = { retrySchedule: [60_000] } as unknown as Settings;
let store: MemoryEventStore;
let subscriber: StartRuns;

beforeEach(() => {
  store = new MemoryEventStore();
  subscriber = new StartRuns(store, clock, settings, testSteps, openBudget(store), noWork);
});

async function append(
  stream: string,
  type: string,
  data: object,
  more: { hop?: number; orgId?: string; causedBy?: readonly string[] } = {},
) {
  const { hop = 0, orgId = ORG, causedBy } = more;
  const id = uuid7();
  const cause = { $correlationId: id, $causationId: id, hop, ...(causedBy && { causedBy }) };
  const event = newEvent({ type, data }, { id, orgId, actor: 'token/t', now: clock.now(), cause, subject: 'thing/1' });
  await store.append(stream, [event], 'any');
  const [recorded] = await store.readStream(stream, { direction: 'backwards', limit: 1 });
  return recorded!;
}
const happened = (
  type: string,
  data: object,
  more: { hop?: number; orgId?: string; causedBy?: readonly string[] } = {},
) => append(`test-${uuid7()}`, type, data, more);

async function saved(name: string, rest: string, orgId = ORG): Promise<RecordedEvent[]> {
  const source = `name: ${name}\n${rest}`;
  const command = new SaveWorkflow(workflowIdOf(orgId, name), { orgId, actor: 'token/t' }, name, source, 'api');
  const events: RecordedEvent[] = [];
  for (const { type, data } of save(workflow.initial, command, clock.now()))
    events.push(await append(streams.workflow(command.id), type, data, { orgId }));
  return events;
}

const handle = (...events: RecordedEvent[]) => subscriber.handle(events, noTransaction);
const onPush =
  'triggers: [{ type: event, event: git.push }]\nsteps: [{ id: one, uses: echo, with: { value: "${{ event.data.branch }}" } }]\n';

async function runs(): Promise<RecordedEvent[]> {
  const { events } = await store.readAll({ from: 0n, limit: 1000, filter: { streamPrefixes: [streams.run('')] } });
  return [...events];
}
const started = async () => (await runs()).filter((event) => event.is('workflow.started'));
const refused = async () => (await runs()).filter((event) => event.is('action.refused')).map(({ data }) => data);

describe('a tick', () => {
  const hourly = (name: string) =>
    saved(
      name,
      'triggers: [{ type: schedule, every: 1h }]\nsteps: [{ id: one, uses: echo, with: { value: "${{ event.data.at }}" } }]\n',
    );
  const tick = (trigger: string) =>
    happened('schedule.fired', {
      workflowId: workflowIdOf(ORG, 'report'),
      workflow: 'report',
      trigger,
      at: '2026-11-20T09:00:00.000Z',
    });

  it('starts a run of its own workflow alone', async () => {
    await handle(...(await hourly('report')), ...(await hourly('other')));
    await handle(await tick('every 1h'), await tick('every 2h'));
    expect((await started()).map(({ data }) => data)).toMatchObject([
      { workflow: 'report', trigger: { kind: 'schedule', index: 0 } },
    ]);
    const done = (await runs()).find((event) => event.is('workflow.step_completed'));
    expect(done?.data).toMatchObject({ output: '2026-11-20T09:00:00.000Z' });
  });

  it('starts nothing while the workflow is paused', async () => {
    await handle(...(await hourly('report')));
    const about = { workflowId: workflowIdOf(ORG, 'report'), name: 'report' };
    await handle(await append(streams.workflow(about.workflowId), 'workflow.paused', about));
    await handle(await tick('every 1h'));
    expect(await started()).toEqual([]);
    await handle(await append(streams.workflow(about.workflowId), 'workflow.resumed', about));
    await handle(await tick('every 1h'));
    expect(await started()).toHaveLength(1);
  });
});

describe('a request to an integration', () => {
  const shop = (trigger = '{ type: webhook }') => {
    const source = `name: shop\ntriggers: [${trigger}]\nsteps: [{ id: one, uses: echo, with: { value: "\${{ event.data.payload.sum }}" } }]\n`;
    return saved('shop', source.replace('name: shop\n', ''));
  };
  const integration = (id: string, more: object = {}) =>
    append(streams.integration(id), 'integration.created', {
      integrationId: id,
      provider: 'generic_webhook',
      slug: 'wh_x',
      name: 'orders',
      config: {},
      ...more,
    });
  async function request(integrationId: string) {
    const data = {
      provider: 'generic_webhook',
      eventType: 'order',
      deliveryId: 'd',
      sourceIp: '',
      payload: { sum: 7 },
    };
    const id = uuid7();
    const event = newEvent(
      { type: 'webhook.received', data },
      { id, orgId: ORG, actor: `integration/${integrationId}`, now: clock.now(), subject: '' },
    );
    const stream = streams.inbound(integrationId, id);
    await store.append(stream, [event], 'no-stream');
    return (await store.readStream(stream))[0]!;
  }

  it('starts one run of the workflow that the integration belongs to, whatever is handled twice', async () => {
    const workflowId = workflowIdOf(ORG, 'shop');
    const own = await integration('int_1', { workflowId });
    const [event, other] = [await request('int_1'), await request('int_2')];
    await handle(...(await shop()), own, await integration('int_2'), event, other);
    await handle(event);
    expect((await started()).map(({ data }) => data)).toMatchObject([
      {
        runId: runIdOf(workflowId, event.id),
        trigger: { kind: 'webhook', index: 0 },
        event: { id: eventIdOf(event.id) },
      },
    ]);
    expect((await runs()).find((one) => one.is('workflow.step_completed'))?.data).toMatchObject({ output: 7 });
  });

  it('starts a workflow that names it, by the name that it has when the request comes', async () => {
    await handle(
      ...(await shop('{ type: webhook, integration: sales }')),
      await integration('int_1'),
      await request('int_1'),
    );
    expect(await started()).toEqual([]);
    const renamed = await append(streams.integration('int_1'), 'integration.updated', {
      integrationId: 'int_1',
      name: 'sales',
      config: {},
    });
    await handle(renamed, await request('int_1'));
    expect(await started()).toHaveLength(1);
  });

  it('that starts nothing leaves a decision: which condition failed, or why it was skipped', async () => {
    const trigger = '{ type: webhook, when: "data.payload.sum > `9`" }';
    const own = await integration('int_1', { workflowId: workflowIdOf(ORG, 'shop') });
    await handle(...(await shop(trigger)), own, await request('int_1'));
    const about = { workflowId: workflowIdOf(ORG, 'shop'), name: 'shop' };
    await handle(await append(streams.workflow(about.workflowId), 'workflow.paused', about));
    await handle(...(await shop()));
    await handle(await request('int_1'));
    const { events } = await store.readAll({ from: 0n, limit: 1000, filter: { types: ['trigger.evaluated'] } });
    expect(events.map(({ data }) => data)).toMatchObject([
      { events: [{ decisions: [{ outcome: 'not_matched', failed: { pointer: '/triggers/0/when', actual: 7 } }] }] },
      { events: [{ decisions: [{ outcome: 'skipped', reason: 'paused' }] }] },
    ]);
    expect(await started()).toEqual([]);
  });

  it('is told apart from an event that somebody published under the same name', async () => {
    const own = await integration('int_1', { workflowId: workflowIdOf(ORG, 'shop') });
    const forged = await append('published-1', 'webhook.received', { payload: {} });
    await handle(...(await shop()), own, forged);
    expect(await started()).toEqual([]);
  });
});

it('the key of runs that take turns tells values apart as other keys do, and is one that rows can hold', async () => {
  const turns = 'concurrency: { key: "${{ event.data.branch }}" }\n';
  await handle(...(await saved('turns', onPush.replace('triggers', `${turns}triggers`))));
  const [one, big, other] = ['1.0', '7615917337495251231', '7615917337495251232'].map(parseAsWritten);
  for (const branch of [1, '1', one, big, other, 'a\0b', 'a\ud800'])
    await handle(await happened('git.push', { branch }));
  const keys = (await started()).map(({ data }) => (data as { concurrency: { key: string } }).concurrency.key);
  const told = ['1', '"1"', '1', '7.615917337495251231e18', '7.615917337495251232e18', 'a\ufffdb', 'a\ufffd'];
  expect(keys.map((key) => key.slice(key.indexOf(' ') + 1))).toEqual(told);
});

describe('an event that a workflow listens to', () => {
  it('starts a run that says why, where nobody knows whether it fits', async () => {
    await handle(...(await saved('docs', onPush.replace('event: git.push', 'event: git.push, paths: ["docs/**"]'))));
    await handle(await happened('git.push', { branch: 'main', commits: [{ id: 'a' }], truncated: true }));
    const [run] = await started();
    expect(run!.data).toMatchObject({
      trigger: { kind: 'event', index: 0, because: expect.stringContaining('paths') },
    });
  });

  it('starts a run, pinned to the active version, with the event as its cause', async () => {
    await handle(...(await saved('deploy', onPush)));
    const push = await happened('git.push', { branch: 'main' }, { hop: 2 });
    await handle(push);
    const [first] = await started();
    expect(first!.data).toMatchObject({
      workflow: 'deploy',
      trigger: { kind: 'event', index: 0 },
      event: { id: eventIdOf(push.id), type: 'git.push', stream: push.stream, revision: '0' },
      settings: { retrySchedule: ['1m'] },
      hop: 3,
    });
    for (const { metadata } of await runs())
      expect(metadata).toMatchObject({
        $causationId: push.id,
        $correlationId: push.metadata.$correlationId,
        hop: 3,
        actor: `run/${(first!.data as { runId: string }).runId}`,
        orgId: ORG,
      });
  });

  it('starts no run of a disabled workflow, and refuses a request for one', async () => {
    await handle(...(await saved('deploy', `disabled: true\n${onPush}`)));
    await handle(await happened('git.push', { branch: 'main' }));
    const requestedBy = { kind: 'rule', ruleId: 'rule_1' };
    await handle(
      await happened('workflow.requested', { workflow: 'deploy', inputs: {}, requestedBy, eventId: 'evt_1' }),
    );
    expect(await started()).toEqual([]);
    expect(await refused()).toEqual([expect.objectContaining({ reason: 'disabled-workflow' })]);
  });

  it('is over in one append where no step has effects', async () => {
    await handle(...(await saved('deploy', onPush)));
    await handle(await happened('git.push', { branch: 'main' }));
    const events = await runs();
    expect(events.at(-1)!.data).toMatchObject({ to: 'completed' });
    expect(events.find((event) => event.is('workflow.step_completed'))!.data).toMatchObject({ output: 'main' });
  });

  it('leaves steps with effects to a worker', async () => {
    const steps = 'steps: [{ uses: echo, with: { value: 1 } }, { uses: call, with: { to: x } }]\n';
    await handle(...(await saved('deploy', `triggers: [{ type: event, event: git.push }]\n${steps}`)));
    await handle(await happened('git.push', {}));
    expect((await runs()).map(({ type }) => type)).toEqual([
      'workflow.started',
      'workflow.status_changed',
      'workflow.step_completed',
    ]);
  });

  it('starts one run, however often it is handled', async () => {
    await handle(...(await saved('deploy', onPush)));
    const push = await happened('git.push', { branch: 'main' });
    await handle(push, push);
    await handle(push);
    expect(await started()).toHaveLength(1);
  });

  it('is not started again, nor its first steps decided, where its start is known to be in the log', async () => {
    const before = await saved('report', onPush);
    const event = await happened('git.push', { branch: 'main' });
    await handle(...before, event);
    const known = new Set((await runs()).map(({ id }) => id));
    const append = jest.spyOn(store, 'append');
    await subscriber.handle([event], { ...noTransaction, isKnown: (id) => known.has(id) });
    expect(append).not.toHaveBeenCalled();
    await subscriber.handle([event], { ...noTransaction, isKnown: () => false });
    expect(append).toHaveBeenCalledTimes(1);
  });

  it('starts one run of a workflow that two of its triggers fit', async () => {
    const twice =
      'triggers: [{ type: event, event: git.push }, { type: event, event: "git.*" }]\nsteps: [{ uses: echo, with: { value: 1 } }]\n';
    await handle(...(await saved('deploy', twice)));
    await handle(await happened('git.push', {}));
    expect(await started()).toHaveLength(1);
  });

  it('starts nothing in another organisation', async () => {
    await handle(...(await saved('deploy', onPush)));
    await handle(await happened('git.push', {}, { orgId: 'org_2' }));
    expect(await started()).toEqual([]);
  });

  it('that was recorded before the workflow was saved starts nothing', async () => {
    const push = await happened('git.push', {});
    await handle(push, ...(await saved('deploy', onPush)));
    expect(await started()).toEqual([]);
  });

  it('starts nothing once the workflow is archived', async () => {
    const [first, second] = await saved('deploy', onPush);
    const { workflowId } = first!.data as { workflowId: string };
    const gone = await append(first!.stream, 'workflow.archived', { workflowId, name: 'deploy', reason: 'x' });
    await handle(first!, second!, gone, await happened('git.push', {}));
    expect(await started()).toEqual([]);
  });

  it('gives inputs their defaults', async () => {
    const inputs =
      'triggers:\n  - { type: event, event: git.push }\n  - { type: manual, inputs: { where: { type: string, default: here } } }\nsteps: [{ uses: echo, with: { value: 1 } }]\n';
    await handle(...(await saved('deploy', inputs)));
    await handle(await happened('git.push', {}));
    expect((await started())[0]!.data).toMatchObject({ inputs: { where: 'here' } });
  });

  it('is refused, with the reason, where the condition asks for too much', async () => {
    const doubled = `data.list ${'| [@, @][]'.repeat(40)}`;
    await handle(
      ...(await saved(
        'deploy',
        `triggers: [{ type: event, event: git.push, when: "${doubled}" }]\nsteps: [{ uses: echo, with: { value: 1 } }]\n`,
      )),
    );
    await handle(await happened('git.push', { list: [1] }));
    expect(await refused()).toMatchObject([{ action: 'trigger', reason: 'expression.too_costly' }]);
  });
});

describe('loops', () => {
  it('end when an event has too many causes, and the refusal starts nothing', async () => {
    await handle(...(await saved('deploy', onPush)));
    await handle(...(await saved('watch', onPush.replace('git.push', 'action.refused'))));
    await handle(await happened('git.push', {}, { hop: MAX_HOPS }));
    expect(await started()).toEqual([]);
    const [refusal] = (await runs()).filter((event) => event.is('action.refused'));
    expect(refusal!.data).toMatchObject({ action: 'trigger', reason: 'too-many-hops' });
    await handle(refusal!);
    expect(await started()).toEqual([]);
    expect(await refused()).toHaveLength(1);
  });

  it('cannot come from a workflow that listens to its own runs', async () => {
    await handle(...(await saved('echo', onPush.replace('git.push', '"workflow.*"'))));
    await handle(...(await saved('deploy', onPush)));
    await handle(await happened('git.push', {}));
    await handle(...(await runs()));
    const names = async () => (await started()).map(({ data }) => (data as { workflow: string }).workflow);
    const first = await names();
    expect(first.filter((name) => name === 'deploy')).toHaveLength(1);
    await handle(...(await runs()).filter((event) => (event.data as { workflow?: string }).workflow === 'echo'));
    expect(await names()).toEqual(first);
  });

  it('name the workflow as a cause of everything that its run records', async () => {
    const [first] = await saved('deploy', onPush);
    await handle(first!, ...(await saved('deploy', onPush)).slice(1));
    const { workflowId } = first!.data as { workflowId: string };
    await handle(await happened('git.push', {}, { causedBy: ['rul_1'] }));
    for (const { metadata } of await runs()) expect(metadata.causedBy).toEqual(['rul_1', workflowId]);
  });

  it.each(['run.step_skipped', '"run.*"', '[workflow.started, workflow.completed]'])(
    'cannot come from a workflow that listens to what its own runs record: %s',
    async (type) => {
      const skipping = `triggers: [{ type: event, event: ${type} }, { type: manual }]\nsteps: [{ uses: echo, if: false, with: { value: 1 } }]\n`;
      const [first, active] = await saved('skips', skipping);
      await handle(first!, active!);
      const { workflowId } = first!.data as { workflowId: string };
      // Somebody else's run does start it.
      await handle(await happened('run.step_skipped', { runId: 'run_1' }), await happened('workflow.started', {}));
      const before = (await started()).length;
      expect(before).toBeGreaterThan(0);
      await handle(...(await runs()));
      expect(await started()).toHaveLength(before);
      expect(await refused()).toEqual([]);
      for (const { metadata } of await runs()) expect(metadata.causedBy).toEqual([workflowId]);
    },
  );

  it.each([
    [false, 1],
    [true, MAX_HOPS],
  ])(
    'of a workflow that emits what it listens to, with allowRecursion %s, end after %i runs',
    async (allows, times) => {
      const emitting = `triggers: [{ type: event, event: webhook.exhausted }]\nallowRecursion: ${allows}\nsteps: [{ uses: emit, with: { type: webhook.exhausted, data: "\${{ event.data }}" } }]\n`;
      await handle(...(await saved('loop-self', emitting)));
      await handle(await happened('webhook.exhausted', { deliveryId: 'del_1', attempts: 1 }));
      for (let known = 0; ;) {
        const events = await runs();
        if (events.length === known) break;
        await handle(...events.slice(known));
        known = events.length;
      }
      expect(await started()).toHaveLength(times);
      expect(await refused()).toMatchObject([
        { action: 'trigger', reason: allows ? 'too-many-hops' : 'follows-from-itself' },
      ]);
    },
  );

  it('of a story that has used up its budget start nothing more, and one event says so', async () => {
    subscriber = new StartRuns(store, clock, settings, testSteps, openBudget(store, 10), noWork);
    await handle(...(await saved('a', onPush)), ...(await saved('b', onPush)));
    const first = await happened('git.push', {});
    const cause = { $correlationId: first.metadata.$correlationId, $causationId: first.id, hop: 1 };
    const following = async () => {
      const id = uuid7();
      const event = newEvent({ type: 'git.push', data: {} }, { id, orgId: ORG, actor: 'x', now: clock.now(), cause });
      await store.append(`test-${id}`, [event], 'any');
      return (await store.readStream(`test-${id}`, { limit: 1 }))[0]!;
    };
    await handle(first);
    await handle(await following());
    await handle(await following());
    expect(await started()).toHaveLength(2);
    expect(await refused()).toEqual([]);
    const told = (await store.readAll({ limit: 1000 })).events.filter((event) => event.is('correlation.exhausted'));
    expect(told.map(({ data }) => data)).toMatchObject([{ correlationId: eventIdOf(first.id), limit: 10 }]);
    expect(told[0]!.metadata.$correlationId).toBe(told[0]!.id);
  });

  it('cannot come from a workflow that listens to everything', async () => {
    await handle(...(await saved('all', onPush.replace('git.push', '"*"'))));
    await handle(await happened('git.push', {}));
    await handle(...(await runs()));
    expect(await started()).toHaveLength(1);
  });
});

describe('a request by a rule', () => {
  const requestedBy = { kind: 'rule', ruleId: 'rul_1', ruleVersion: 1, index: 0 };
  const manual =
    'triggers: [{ type: manual, inputs: { where: { type: string, required: true } } }]\nsteps: [{ id: one, uses: echo, with: { value: "${{ event.data.branch }}" } }]\n';
  const request = (name: string, inputs: object, event?: RecordedEvent) =>
    happened('workflow.requested', {
      requestedBy,
      eventId: 'evt_1',
      workflow: name,
      inputs,
      ...(event && { event: { stream: event.stream, revision: String(event.revision) } }),
    });

  it('starts a run about the event that the rule matched, caused by the request', async () => {
    await handle(...(await saved('deploy', manual)));
    const push = await happened('git.push', { branch: 'main' });
    const asked = await request('deploy', { where: 'there' }, push);
    await handle(asked);
    const [first] = await started();
    expect(first!.data).toMatchObject({
      trigger: { kind: 'request' },
      inputs: { where: 'there' },
      event: { id: eventIdOf(push.id), type: 'git.push' },
    });
    expect(first!.metadata.$causationId).toBe(asked.id);
    expect((await runs()).find((event) => event.is('workflow.step_completed'))!.data).toMatchObject({ output: 'main' });
  });

  it.each([
    ['of an unknown workflow', 'nothing', {}, 'unknown-workflow'],
    ['with inputs that do not fit', 'deploy', { where: 7 }, 'invalid-inputs'],
  ])('%s is refused', async (_, name, inputs, reason) => {
    await handle(...(await saved('deploy', manual)));
    await handle(await request(name, inputs));
    expect(await started()).toEqual([]);
    expect(await refused()).toMatchObject([{ action: 'dispatch_workflow', reason, requestedBy }]);
  });

  it('of a workflow that no longer parses is refused', async () => {
    const without = new StartRuns(store, clock, settings, testSteps, openBudget(store), noWork);
    const [first, second] = await saved('deploy', 'steps: [{ uses: gone }]\n');
    await without.handle([first!, second!, await request('deploy', {})], noTransaction);
    expect(await refused()).toMatchObject([{ reason: 'broken-workflow' }]);
  });
});

describe('the stream of a run', () => {
  it('reads back as it was written', async () => {
    await handle(...(await saved('deploy', onPush)));
    await handle(await happened('git.push', { branch: 'main' }));
    const [first] = await started();
    const whole = await readWhole(store, first!.stream);
    expect(whole.map(({ revision }) => revision)).toEqual(whole.map((_, index) => BigInt(index)));
    expect(new Set(whole.map(({ id }) => id)).size).toBe(whole.length);
  });
});
