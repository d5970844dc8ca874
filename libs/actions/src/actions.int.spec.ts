import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Type } from '@sinclair/typebox';

import { Keyring } from '#libs/access/src/secrets/keyring.js';
import { Secrets } from '#libs/access/src/secrets/secrets.js';
import { Egress } from '#libs/egress/src/egress.js';
import { NamedSecretValues } from '#libs/access/src/named-secrets/secret-values.js';
import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import type { EventType } from '#libs/events/src/catalogue.js';
import { eventIdOf } from '#libs/events/src/envelope.js';
import { streams } from '#libs/events/src/streams.js';
import { newId, uuid7 } from '#libs/kernel/src/ids.js';
import { LOG } from '#libs/kernel/src/log.js';
import { Settings } from '#libs/kernel/src/settings.js';
import { waitFor } from '#libs/kernel/testing/wait-for.js';
import { type ActionContext, type ActionDefinition, defineAction } from '#libs/plugin-sdk/src/define-action.js';
import { StepError } from '#libs/plugin-sdk/src/define-step.js';
import { Plugins } from '#libs/plugin-sdk/src/loading/plugins.js';

import { useViews } from '../../../test/support/views.js';
import { StageProcess } from '../../persistence/testing/stage-process.js';
import { ActionWorkers } from './plugins/action-workers.js';
import { ActionsModule } from './actions.module.js';
import { ScheduleActions } from './attempts/schedule.subscriber.js';
import { ConnectionTable } from './connections/connection.table.js';
import { SendMessage } from './messages/send-message.worker.js';
import { TrackIssue } from './trackers/track-issue.worker.js';

const views = useViews({ poolSize: 5 });

let store: MemoryEventStore;
let servers: (() => Promise<void>)[];
beforeEach(() => {
  store = new MemoryEventStore();
  servers = [];
});
afterEach(async () => {
  for (const stop of servers) await stop();
});

const forgetCheckpoints = () => views.dataSource.query('truncate views.checkpoints');

/** A server that has these plug-ins. Resolves to what stops it. */
async function server(...actions: ActionDefinition[]): Promise<() => Promise<void>> {
  const nowhere = () => undefined;
  const stage = await StageProcess.start({
    databaseUrl: views.url,
    store,
    orgId: 'org_1',
    module: ActionsModule,
    provided: [
      [Plugins, new Plugins([{ name: 'specs', sdk: 1, actions }])],
      [Egress, { request: () => Promise.reject(new Error('nobody asks')) }],
      [Keyring, new Keyring([Buffer.alloc(32, 1)])],
      [Secrets, { get: () => Promise.resolve(new Map()) }],
      [Settings, { actionRetrySchedule: [20, 40] }],
      [NamedSecretValues, { of: () => Promise.resolve(new Map()) }],
      [LOG, { debug: nowhere, info: nowhere, warn: nowhere, error: nowhere }],
    ],
    runs: (find) => ({
      subscribers: [find(ScheduleActions)],
      tables: [find(ConnectionTable)],
      workers: [...find(ActionWorkers).all, find(SendMessage), find(TrackIssue)],
    }),
  });
  const stop = async () => {
    servers.splice(servers.indexOf(stop), 1);
    await stage.stop();
  };
  servers.push(stop);
  return stop;
}

const action = (name: string, run: (input: { n: number }, context: ActionContext) => unknown) =>
  defineAction({
    name,
    description: 'For specs.',
    inputSchema: Type.Object({ n: Type.Integer() }),
    run: async (input, context) => run(input, context),
  });

async function request(name: string, n = 1, stream = streams.decisions(uuid7())): Promise<string> {
  const id = uuid7();
  const requestedBy = { kind: 'rule' as const, ruleId: 'rul_1', ruleVersion: 1, index: 0 };
  const data = { requestedBy, eventId: 'evt_1', action: name, input: { n } };
  const context = { id, orgId: 'org_1', actor: 'rule/rul_1', now: new Date() };
  await store.append(stream, [newEvent({ type: 'action.requested', data }, context)], 'any');
  return eventIdOf(id);
}

const logged = async (...types: EventType[]) =>
  (await store.readAll({ from: 0n, filter: { types }, limit: 1_000 })).events;
const rows = (): Promise<{ queue: string; state: string }[]> =>
  views.dataSource.query('select queue, state from views.work order by queue, key');

const ended = (count: number) =>
  waitFor(`${count} outcomes, and no work left`, async () => {
    const outcomes = (await logged('action.completed', 'action.failed')).filter(
      (event) => !event.is('action.failed') || event.data.final,
    );
    return outcomes.length >= count && (await rows()).length === 0 && outcomes;
  });

describe('requests for actions of plug-ins', () => {
  it('are carried out, each once, and leave no work', async () => {
    const seen: number[] = [];
    await server(action('count', ({ n }) => seen.push(n)));
    const ids = await Promise.all([1, 2, 3, 4, 5].map((n) => request('count', n)));
    const outcomes = await ended(5);
    expect(seen.toSorted()).toEqual([1, 2, 3, 4, 5]);
    expect(outcomes.map(({ data }) => (data as { requestId: string }).requestId).toSorted()).toEqual(ids.toSorted());
  });

  it('are tried again by the schedule until one attempt succeeds, or the last one has failed', async () => {
    const busy = new StepError({ code: 'busy', message: 'Busy.', retryable: true });
    const third = action('third', (_, { attempt }) => {
      if (attempt < 3) throw busy;
      return 'at last';
    });
    const never = action('never', () => {
      throw busy;
    });
    await server(third, never);
    await request('third');
    await request('never');
    const outcomes = await ended(2);
    expect(outcomes.find(({ type }) => type === 'action.completed')!.data).toMatchObject({
      attempts: 3,
      output: 'at last',
    });
    expect(outcomes.find(({ type }) => type === 'action.failed')!.data).toMatchObject({ attempt: 3, final: true });
    const failures = await logged('action.failed');
    expect(failures.map((event) => event.is('action.failed') && [event.data.action, event.data.attempt])).toHaveLength(
      5,
    );
  });

  it('wait while no server has the plug-in, keep nobody else waiting, and are taken up when one has', async () => {
    const stop = await server(action('here', () => 'done'));
    await request('elsewhere');
    await request('here');
    await waitFor('the other one', async () => (await logged('action.completed')).length === 1);
    await waitFor('its row', async () => (await rows()).length === 1);
    expect(await rows()).toEqual([{ queue: 'actions.run.elsewhere', state: 'ready' }]);
    await stop();
    await server(action('elsewhere', () => 'done'));
    const outcomes = await ended(2);
    expect(outcomes.map(({ data }) => (data as { action: string }).action)).toEqual(['here', 'elsewhere']);
  });

  it('are not carried out again when the rows are built anew from the log', async () => {
    let calls = 0;
    const flaky = action('flaky', (_, { attempt }) => {
      calls++;
      if (attempt === 1) throw new StepError({ message: 'x', retryable: true });
    });
    const stop = await server(flaky);
    await request('flaky');
    await request('flaky');
    await ended(2);
    await stop();
    await forgetCheckpoints();
    await server(flaky);
    await request('flaky');
    await ended(3);
    expect(calls).toBe(6);
    expect(await logged('action.completed')).toHaveLength(3);
  });

  it('for messages and issues are carried out for agents too', async () => {
    await server();
    const executionId = newId('exec');
    const requestedBy = { kind: 'agent' as const, agentId: newId('agt'), executionId };
    const about = { requestedBy, eventId: 'evt_1' };
    const ask = (draft: Parameters<typeof newEvent>[0]) =>
      store.append(
        streams.execution(executionId),
        [newEvent(draft, { id: uuid7(), orgId: 'org_1', actor: requestedBy.agentId, now: new Date() })],
        'any',
      );
    await ask({ type: 'message.requested', data: { ...about, integration: 'nowhere', text: 'hello' } });
    await ask({ type: 'issue.requested', data: { ...about, tracker: 'nowhere', title: 'DB latency' } });
    const outcomes = await waitFor('both outcomes', async () => {
      const found = await logged('message.failed', 'tracker.failed');
      return found.length === 2 && found;
    });
    expect(outcomes.map(({ data }) => (data as { error: { code: string } }).error.code).toSorted()).toEqual([
      'message.unknown_integration',
      'tracker.unknown_integration',
    ]);
  });

  it('are believed from the rules alone, and outcomes from those who carry them out', async () => {
    let calls = 0;
    await server(action('count', () => calls++));
    await request('count', 1, streams.published('org_1', uuid7()));
    await request('count');
    await ended(1);
    const [real] = await logged('action.completed');
    const pending = await request('elsewhere');
    const forged = { ...(real!.data as object), requestId: pending, action: 'elsewhere' } as never;
    await store.append(
      streams.published('org_1', 'x'),
      [
        newEvent(
          { type: 'action.completed', data: forged },
          { id: uuid7(), orgId: 'org_1', actor: 'x', now: new Date() },
        ),
      ],
      'any',
    );
    await request('count', 2);
    await waitFor('the one after it', async () => (await logged('action.completed')).length === 3);
    await waitFor('its row to go', async () => (await rows()).length === 1);
    expect(await rows()).toEqual([{ queue: 'actions.run.elsewhere', state: 'ready' }]);
    expect(calls).toBe(2);
  });
});
