import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { waitFor } from '#libs/kernel/testing/wait-for.js';

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

describe('a run that is paused', () => {
  it('is shown so, does not spin when an outcome comes, and goes on with it when it is resumed', async () => {
    await one.save(
      'name: asks\ntriggers: [{ type: manual }]\nsteps: [{ id: sent, uses: redeliver_webhook, with: { delivery: del_01jq5x1d0wkz4s3v2n8m7b6c5a } }]\n',
    );
    const id = await one.begin('asks');
    await one.untilStatus(id, 'waiting');
    expect(await one.commands.pause(one.caller, id)).toMatchObject({ status: 'paused' });
    const [request] = await one.logged('webhook.redelivery_requested');
    await one.answer(request!, 200);
    await waitFor('the worker to lay the run aside', async () => {
      const [row] = await one.dataSource.query<{ state: string; claims: number }[]>(
        'select w.state, w.claims from views.work w join views.run_requests r on r.run_id = w.key where r.outcome_stream is not null',
      );
      return row?.state === 'resting';
    });
    expect((await one.runs.list(one.caller, { status: 'paused' })).data).toMatchObject([{ id }]);
    expect(await one.commands.resume(one.caller, id)).not.toMatchObject({ status: 'paused' });
    const shown = await one.untilStatus(id, 'completed');
    expect(shown).toMatchObject({ pauses: [{ by: 'token/tok_1', resumedBy: 'token/tok_1' }] });
  });

  it('must have begun', async () => {
    await one.save(
      'name: turns\ntriggers: [{ type: manual }]\nconcurrency: { limit: 1 }\nsteps: [{ wait: { for: 1h } }]\n',
    );
    await one.untilStatus(await one.begin('turns'), 'waiting');
    const queued = await one.begin('turns');
    await one.untilStatus(queued, 'queued');
    await expect(one.commands.pause(one.caller, queued)).rejects.toMatchObject({ code: 'run.queued' });
  });
});
