import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { waitFor } from '#libs/kernel/testing/wait-for.js';
import { inTransaction } from '#libs/persistence/src/transaction/in-transaction.adapter.js';

import { createTestDatabase, type TestDatabase } from '../../../../test/support/database.js';
import { Running, type RunningOptions, type RunShown } from '../../testing/running.js';
import { CloseChildren } from './children.subscriber.js';

let database: TestDatabase;
let store: MemoryEventStore;
const processes: Running[] = [];

beforeEach(async () => {
  database = await createTestDatabase();
  store = new MemoryEventStore();
});

afterEach(async () => {
  await Promise.all(processes.splice(0).map((one) => one.stop()));
  await database.drop();
});

async function process(more: Partial<RunningOptions> = {}): Promise<Running> {
  const started = await Running.start({ databaseUrl: database.url, store, ...more });
  processes.push(started);
  return started;
}

const NAP = 'name: nap\ntriggers: [{ type: manual }]\nsteps: [{ id: nap, wait: { for: 1h } }]\n';
const QUICK =
  'name: quick\ntriggers: [{ type: manual, inputs: { n: { type: number } } }]\nsteps: [{ uses: echo, with: { value: 1 } }]\noutputs: { n: "${{ inputs.n }}" }\n';
const parent = (child: string, more = '') =>
  `name: parent\ntriggers: [{ type: manual }]\nsteps: [{ id: sub, uses: workflow, with: { workflow: ${child}${more} } }]\noutputs: { sub: "\${{ steps.sub.output }}" }\n`;

interface Family {
  readonly parent?: { readonly runId: string; readonly path: string };
  readonly children?: readonly { readonly id: string; readonly status?: string }[];
}
const family = async (one: Running, id: string) => (await one.view(id)) as RunShown & Family;

/** Resolves with the only child of a run, once it has begun. */
const childOf = (one: Running, id: string) =>
  waitFor('the child to begin', async () => {
    const [child] = (await family(one, id)).children ?? [];
    return child?.status !== undefined && child;
  });

describe('a run that a step of another run asks for', () => {
  it('gives the step its outputs, and both runs show each other', async () => {
    const one = await process();
    await one.save(QUICK);
    await one.save(parent('quick', ', inputs: { n: 7 }'));
    const id = await one.begin('parent');
    const { outputs } = await one.untilStatus(id, 'completed');
    const child = await childOf(one, id);
    expect(outputs).toEqual({ sub: { runId: child.id, outputs: { n: 7 } } });
    expect(await family(one, child.id)).toMatchObject({ status: 'completed', parent: { runId: id, path: 'sub' } });
  });

  it('fails the step where there is no such workflow', async () => {
    const one = await process();
    await one.save(parent('nothing'));
    const { error } = await one.untilStatus(await one.begin('parent'), 'failed');
    expect(error).toMatchObject({ code: 'workflow.refused' });
  });

  it.each([
    ['is cancelled with it', '', 'cancelled'],
    ['goes on without it where that is wanted', ', onParentClose: leave', 'waiting'],
  ])('%s', async (_, more, status) => {
    const one = await process();
    await one.save(NAP);
    await one.save(parent('nap', more));
    const id = await one.begin('parent');
    const child = await childOf(one, id);
    await one.commands.cancel(one.caller, id);
    // A second family ends afterwards: by then the first one has been seen to.
    await one.save(parent('nap').replace('name: parent', 'name: second'));
    const second = await one.begin('second');
    const other = await childOf(one, second);
    await one.commands.cancel(one.caller, second);
    await one.untilStatus(other.id, 'cancelled');
    await one.untilStatus(child.id, status);
  });

  it.each([
    [
      'another branch has won',
      '{ race: true, parallel: [{ steps: [START] }, { steps: [{ waitForEvent: { event: webhook.test } }] }] }',
    ],
    [
      'the time of the step is over',
      '{ id: sub, uses: workflow, with: { workflow: nap }, timeout: 2s, onError: continue }',
    ],
  ])('is cancelled at once where %s, and the other goes on', async (_, step) => {
    const one = await process();
    await one.save(NAP);
    const start = '{ id: sub, uses: workflow, with: { workflow: nap } }';
    await one.save(
      `name: parent\ntriggers: [{ type: manual }]\nsteps: [${step.replace('START', start)}, { id: rest, wait: { for: 1h } }]\n`,
    );
    const id = await one.begin('parent');
    const child = await childOf(one, id);
    await one.append('webhook.test', { webhookId: 'whk_1', message: 'x' });
    await one.untilStatus(child.id, 'cancelled');
    expect(await family(one, id)).toMatchObject({ status: 'waiting' });
    expect(await one.logged('run.request_withdrawn')).toHaveLength(1);
  });

  it('never begins where the other has ended before, whoever comes first', async () => {
    const idle = await process({ working: false });
    await idle.save(NAP);
    await idle.save(parent('nap'));
    const id = await idle.begin('parent');
    await idle.commands.cancel(idle.caller, id);
    const events = await store.readAll({ from: 0n, limit: 1000 });
    const closer = new CloseChildren(
      store,
      { now: () => new Date() },
      {
        of: () => Promise.resolve(undefined!),
      } as never,
      { find: () => Promise.resolve(undefined), save: () => Promise.resolve() },
    );
    // Twice, as after a crash in between.
    for (let times = 0; times < 2; times++)
      await inTransaction(idle.dataSource, (tx) =>
        closer.handle(events.events, { transaction: () => Promise.resolve(tx) } as never),
      );
    await process();
    const refused = await idle.logged('action.refused');
    expect(refused.map(({ data }) => data)).toEqual([expect.objectContaining({ reason: 'parent-ended' })]);
    expect(await idle.logged('workflow.started')).toHaveLength(1);
  });
});
