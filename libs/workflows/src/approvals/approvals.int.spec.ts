import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { createTestDatabase, type TestDatabase } from '../../../../test/support/database.js';
import { Running } from '../../testing/running.js';

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

const WORKFLOW = `name: ask
triggers: [{ type: manual, inputs: { limit: { type: string } } }]
steps:
  - { id: ok, approval: { title: 'Really?', timeout: "\${{ inputs.limit }}" } }
outputs: { by: "\${{ steps.ok.output.by }}" }
`;

describe('approvals', () => {
  it('are listed while they wait, and the decision lets the run go on', async () => {
    await one.save(WORKFLOW);
    const id = await one.begin('ask', { limit: '1d' });
    const list = async (status?: string) => (await one.approvals.list(one.caller, status)).data;
    const [waiting] = await waitFor('the approval to be listed', async () => {
      const all = await list();
      return all.length > 0 && all;
    });
    expect(waiting).toMatchObject({ runId: id, path: 'ok', title: 'Really?', status: 'waiting', workflow: 'ask' });
    const somebody = { ...one.caller, actor: 'token/tok_2' };
    const body = { decision: 'approve' };
    await expect(one.approvals.decide(one.caller, id, 'ok', { body })).rejects.toMatchObject({
      code: 'approval.own_run',
    });
    expect(await one.approvals.decide(somebody, id, 'ok', { body })).toMatchObject({ status: 'approved' });
    expect(await one.untilStatus(id, 'completed')).toMatchObject({ outputs: { by: 'token/tok_2' } });
    expect(await list()).toEqual([]);
    expect(await list('approved')).toMatchObject([{ runId: id }]);
  });

  it('are over once their time is', async () => {
    await one.save(WORKFLOW);
    const id = await one.begin('ask', { limit: '10ms' });
    await one.untilStatus(id, 'failed');
    await waitFor(
      'the approval to be over',
      async () => (await one.approvals.list(one.caller, 'over')).data.length === 1,
    );
  });
});
