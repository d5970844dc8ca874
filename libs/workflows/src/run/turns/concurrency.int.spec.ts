import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';

import { createTestDatabase, type TestDatabase } from '../../../../../test/support/database.js';
import { Running } from '../../../testing/running.js';

let database: TestDatabase;
let one: Running;
beforeEach(async () => {
  database = await createTestDatabase();
  one = await Running.start({ databaseUrl: database.url, store: new MemoryEventStore() });
});
afterEach(async () => {
  await one.stop();
  await database.drop();
});

const workflow = (concurrency: string) => `name: slow
triggers: [{ type: manual, inputs: { to: { type: string, default: a } } }]
concurrency: ${concurrency}
steps: [{ wait: { for: 1h } }]
`;

describe('a limit of runs', () => {
  it('holds a run back until another with its key has ended, and lets others through', async () => {
    await one.save(workflow('{ key: "${{ inputs.to }}" }'));
    const [first, second, other] = [
      await one.begin('slow'),
      await one.begin('slow'),
      await one.begin('slow', { to: 'b' }),
    ];
    await one.untilStatus(first, 'waiting');
    await one.untilStatus(other, 'waiting');
    expect(await one.view(second)).toMatchObject({ status: 'queued', timeline: [] });
    await one.commands.cancel(one.caller, first);
    await one.untilStatus(second, 'waiting');
  });

  it('skips a run, or cancels the one before', async () => {
    await one.save(workflow('{ onConflict: skip }'));
    const first = await one.begin('slow');
    expect(await one.untilStatus(await one.begin('slow'), 'skipped')).toMatchObject({
      skipped: { reason: expect.stringMatching(/^(running|queue-full)$/), detail: expect.any(String) },
    });
    await one.save(workflow('{ onConflict: cancel_running }'));
    const newest = await one.begin('slow');
    expect(await one.untilStatus(first, 'cancelled')).toMatchObject({ cancelledBy: `run/${newest}` });
    await one.untilStatus(newest, 'waiting');
  });

  it('is that of runs that do something, with whileWaiting: release', async () => {
    const source = `name: taking-turns
triggers: [{ type: manual, inputs: { wait: { type: boolean, default: true } } }]
concurrency: { whileWaiting: release }
steps:
  - { id: nap, if: inputs.wait, wait: { for: 1ms } }
  - { id: ask, approval: { title: Go on?, selfApproval: true } }
outputs: { done: true }
`;
    await one.save(source);
    const [first, second] = [await one.begin('taking-turns'), await one.begin('taking-turns', { wait: false })];
    // Both wait for a person: neither holds the place that the other needs.
    await one.untilStatus(first, 'waiting');
    await one.untilStatus(second, 'waiting');
    for (const id of [second, first]) {
      await one.approvals.decide(one.caller, id, 'ask', { body: { decision: 'approve' } });
      expect(await one.untilStatus(id, 'completed')).toMatchObject({ outputs: { done: true } });
    }
  });
});
