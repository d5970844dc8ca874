import { beforeEach, describe, expect, it } from '@jest/globals';

import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { eventIdOf, runIdOf } from '#libs/events/src/envelope.js';
import { streams } from '#libs/events/src/streams.js';
import { FixedClock } from '#libs/kernel/src/clock.js';
import { uuid7 } from '#libs/kernel/src/ids.js';
import { silentLog } from '#libs/kernel/src/log.js';

import type { Receiver } from '../integration/integration.table.js';
import { AwaitingWorkflows } from './awaiting-workflows.js';
import { MOST_WAITING, MOST_WAITING_OF_ONE, RunAnswers } from './run-answers.js';

const clock = new FixedClock('2026-11-20T09:00:00Z');
const REQUEST = uuid7();
const RUN = runIdOf('wf_1', REQUEST);
const url = `https://millrace.example.com/api/v1/runs/${RUN}`;
const never = new AbortController().signal;
const receiver = (more: object = {}) =>
  ({ id: 'int_1', orgId: 'org_1', name: 'orders', workflowId: 'wf_1', ...more }) as Receiver;

let store: MemoryEventStore;
let awaiting: AwaitingWorkflows;
/** Resolves a wait for the subscriber that starts runs. */
let processed: () => void;
let answers: RunAnswers;
const answersWithin = (limitMs: number) =>
  new RunAnswers({
    store,
    awaiting,
    progress: { whenProcessed: () => new Promise<void>((resolve) => (processed = resolve)) },
    publicUrl: 'https://millrace.example.com',
    log: silentLog,
    limitMs,
  });
beforeEach(() => {
  store = new MemoryEventStore();
  awaiting = new AwaitingWorkflows();
  answers = answersWithin(3_600_000);
});

async function append(stream: string, type: string, data: object) {
  const event = newEvent({ type, data }, { id: uuid7(), orgId: 'org_1', actor: 'x', now: clock.now(), subject: '' });
  await store.append(stream, [event], 'any');
  const [recorded] = await store.readStream(stream, { direction: 'backwards', limit: 1 });
  return recorded!;
}
async function activated(workflowId: string, webhooks?: readonly object[]) {
  const data = { workflowId, name: 'shop', version: 'v', origin: 'api', ...(webhooks && { webhooks }) };
  awaiting.apply(await append(streams.workflow(workflowId), 'workflow.activated', data));
}
const ofRun = { runId: RUN, workflowId: 'wf_1', workflow: 'shop' };
const inRun = (type: string, data: object = {}) => append(streams.run(RUN), type, { ...ofRun, ...data });
const ended = (to: string) => inRun('workflow.status_changed', { from: 'running', to });
const asked = (gone: AbortSignal = never) => answers.of(receiver(), [eventIdOf(REQUEST)], gone);
/** Lets promises that are ready run. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

describe('the answer to a request that starts a run', () => {
  beforeEach(() => activated('wf_1', [{ respond: 'wait' }]));

  it('waits for the run and has its outputs, whoever runs it', async () => {
    const answer = asked()!;
    await settled();
    await inRun('workflow.started');
    processed();
    await settled();
    await inRun('workflow.completed', { outputs: { sum: 3 }, startedAt: '' });
    await ended('completed');
    expect(await answer).toEqual({ runId: RUN, url, status: 'completed', outputs: { sum: 3 } });
  });

  it('comes at once where the run has ended before, as for a request that is sent again', async () => {
    await inRun('workflow.started');
    await inRun('workflow.failed', { error: { code: 'http.status', message: 'secret' }, startedAt: '' });
    await ended('failed');
    const answer = asked()!;
    await settled();
    processed();
    expect(await answer).toEqual({ runId: RUN, url, status: 'failed', error: { code: 'http.status' } });
  });

  it('names the run where its time is over or the sender has gone', async () => {
    answers = answersWithin(1);
    expect(await asked()).toEqual({ runId: RUN, url });
    answers = answersWithin(3_600_000);
    await inRun('workflow.started');
    const gone = new AbortController();
    const answer = asked(gone.signal)!;
    await settled();
    processed();
    await settled();
    gone.abort();
    expect(await answer).toEqual({ runId: RUN, url });
  });

  it('does not wait for a run that does not start', async () => {
    const nothing = asked()!;
    await settled();
    processed();
    expect(await nothing).toBeUndefined();
    await append(streams.run(RUN), 'action.refused', {});
    const refused = asked()!;
    await settled();
    processed();
    expect(await refused).toBeUndefined();
  });

  it('waits again for a run that was retried', async () => {
    await inRun('workflow.started');
    await inRun('workflow.failed', { error: { code: 'x', message: '' }, startedAt: '' });
    await inRun('run.retried');
    const answer = asked()!;
    await settled();
    processed();
    await settled();
    await inRun('run.cancelled', { by: 'token/t' });
    await ended('cancelled');
    expect(await answer).toMatchObject({ status: 'cancelled' });
  });

  it('waits in bounded numbers: of one integration, and of all together', async () => {
    const gone = new AbortController();
    const waiting: Promise<unknown>[] = [];
    const ask = (id: string) => answers.of(receiver({ id }), [eventIdOf(uuid7())], gone.signal)!;
    for (let n = 0; n < MOST_WAITING_OF_ONE; n++) waiting.push(ask('int_1'));
    expect(await ask('int_1')).toMatchObject({ runId: expect.any(String) });
    for (let n = MOST_WAITING_OF_ONE; n < MOST_WAITING; n++) waiting.push(ask(`int_${n}`));
    expect(await ask('int_other')).toMatchObject({ url: expect.any(String) });
    // A place that is given back is free again.
    gone.abort();
    await Promise.all(waiting);
    const later = new AbortController();
    let isOver = false;
    const next = answers.of(receiver(), [eventIdOf(uuid7())], later.signal)!.then(() => (isOver = true));
    await settled();
    expect(isOver).toBe(false);
    later.abort();
    await next;
  });

  it('is that of no run where the request became several events, or none', () => {
    expect(answers.of(receiver(), [], never)).toBeUndefined();
    expect(answers.of(receiver(), [eventIdOf(uuid7()), eventIdOf(uuid7())], never)).toBeUndefined();
  });
});

describe('which workflow answers requests to an integration', () => {
  it('is the one that waits for it: by its own, by name or by id', async () => {
    await activated('wf_1', [{}]);
    await activated('wf_2', [{ integration: 'orders', respond: 'wait' }]);
    await activated('wf_3', [{ integration: 'int_9', respond: 'wait' }, { respond: 'wait' }]);
    expect(awaiting.workflowFor(receiver())).toBe('wf_2');
    expect(awaiting.workflowFor(receiver({ orgId: 'org_2' }))).toBeUndefined();
    expect(awaiting.workflowFor(receiver({ id: 'int_9' }))).toBe('wf_3');
    expect(awaiting.workflowFor(receiver({ workflowId: 'wf_3' }))).toBe('wf_3');
    await activated('wf_2', [{ integration: 'orders' }]);
    expect(awaiting.workflowFor(receiver())).toBeUndefined();
  });

  it('is none once it is archived', async () => {
    await activated('wf_1', [{ respond: 'wait' }]);
    expect(answers.mayAnswer(receiver())).toBe(true);
    awaiting.apply(await append(streams.workflow('wf_1'), 'workflow.archived', { workflowId: 'wf_1', name: 'x' }));
    expect(answers.mayAnswer(receiver())).toBe(false);
  });
});
