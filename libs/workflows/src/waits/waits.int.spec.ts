import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { createTestDatabase, type TestDatabase } from '../../../../test/support/database.js';
import { Running } from '../../testing/running.js';

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

async function process(working = true): Promise<Running> {
  const started = await Running.start({ databaseUrl: database.url, store, working });
  processes.push(started);
  return started;
}
const stop = (one: Running) => processes.splice(processes.indexOf(one), 1)[0]!.stop();

const waiting = (name: string, more = '', before = '') => `name: ${name}
triggers: [{ type: manual, inputs: { key: { type: string } } }]
steps:
${before}  - { id: answer, waitForEvent: { event: webhook.test, when: data.webhookId == inputs.key${more} } }
outputs: { got: "\${{ steps.answer.output.data.webhookId }}", late: "\${{ steps.answer.output.timedOut }}" }
`;
const come = (one: Running, webhookId: string) => one.append('webhook.test', { webhookId, message: 'x' });
const open = (one: Running) => one.dataSource.query<object[]>('select * from views.run_waits');

describe('runs that wait for events', () => {
  it('are answered by whichever process is there when the event comes', async () => {
    const one = await process();
    await one.save(waiting('w'));
    const ids = [await one.begin('w', { key: 'a' }), await one.begin('w', { key: 'b' })];
    await waitFor('the waits to be noted', async () => (await open(one)).length === 2);
    await stop(one);

    const idle = await process(false);
    await come(idle, 'b');
    const two = await process();
    expect(await two.untilStatus(ids[1]!, 'completed')).toMatchObject({ outputs: { got: 'b', late: false } });
    await come(two, 'a');
    expect(await two.untilStatus(ids[0]!, 'completed')).toMatchObject({ outputs: { got: 'a' } });
    await waitFor('no wait to be open', async () => (await open(two)).length === 0);
  });

  it('wait for what their own version says, whatever is saved meanwhile', async () => {
    const one = await process();
    await one.save(waiting('w'));
    const older = await one.begin('w', { key: 'a' });
    await waitFor('the wait to be noted', async () => (await open(one)).length === 1);
    await one.save(waiting('w').replace('inputs.key }', "'b' }"));
    const newer = await one.begin('w', { key: 'a' });
    await waitFor('both waits to be noted', async () => (await open(one)).length === 2);
    await stop(one);
    const two = await process();
    await come(two, 'b');
    expect(await two.untilStatus(newer, 'completed')).toMatchObject({ outputs: { got: 'b' } });
    expect(await two.view(older)).toMatchObject({ status: 'waiting' });
    await come(two, 'a');
    expect(await two.untilStatus(older, 'completed')).toMatchObject({ outputs: { got: 'a' } });
  });

  it('hear what came before they waited, but not what came before they began', async () => {
    const one = await process();
    await one.save(waiting('w', ', timeout: 1ms, onTimeout: continue', '  - { wait: { for: 300ms } }\n'));
    await come(one, 'early');
    const [missed, heard] = [await one.begin('w', { key: 'early' }), await one.begin('w', { key: 'now' })];
    await come(one, 'now');
    expect(await one.untilStatus(heard, 'completed')).toMatchObject({ outputs: { got: 'now', late: false } });
    expect(await one.untilStatus(missed, 'completed')).toMatchObject({ outputs: { got: null, late: true } });
  });

  it('of a restarted run do not hear what came before the restart', async () => {
    const one = await process();
    await one.save(
      waiting('w').replace('triggers: [', 'triggers: [{ type: event, event: git.push }, ').replace('inputs.key', "'a'"),
    );
    await one.append('git.push', { branch: 'main' } as never);
    const { id: first } = await waitFor('the run', async () => {
      const { data } = await one.runs.list(one.caller, {});
      return data[0];
    });
    await come(one, 'a');
    await one.untilStatus(first, 'completed');
    const { id: again } = (await one.commands.restart(one.caller, first, { body: {} })) as { id: string };
    await waitFor('the wait of the restarted run', async () => (await open(one)).length === 1);
    expect(await one.view(again)).toMatchObject({ status: 'waiting' });
    await come(one, 'a');
    expect(await one.untilStatus(again, 'completed')).toMatchObject({ outputs: { got: 'a' } });
  });
});
