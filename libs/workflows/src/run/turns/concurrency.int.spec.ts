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
    await one.untilStatus(await one.begin('slow'), 'skipped');
    await one.save(workflow('{ onConflict: cancel_running }'));
    const newest = await one.begin('slow');
    expect(await one.untilStatus(first, 'cancelled')).toMatchObject({ cancelledBy: `run/${newest}` });
    await one.untilStatus(newest, 'waiting');
  });
});
