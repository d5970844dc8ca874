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
    const among = async (workflow: string, runId?: string) =>
      (await one.approvals.list(one.caller, 'approved', runId, workflow)).data.length;
    expect([await among('ask'), await among('ask', id), await among('other'), await among('a\0b')]).toEqual([
      1, 1, 0, 0,
    ]);
    await expect(list('broken')).rejects.toMatchObject({ code: 'list.bad_filter' });
  });

  it('in a sub-workflow are not for whoever started the run above it', async () => {
    await one.save(WORKFLOW);
    await one.save(
      'name: parent\ntriggers: [{ type: manual }]\nsteps: [{ uses: workflow, with: { workflow: ask, inputs: { limit: 1d } } }]\n',
    );
    const parent = await one.begin('parent');
    const [{ runId, path }] = await waitFor('the approval to be listed', async () => {
      const [first] = (await one.approvals.list(one.caller)).data;
      return first && ([first] as const);
    });
    const body = { decision: 'approve' };
    await expect(one.approvals.decide(one.caller, runId, path, { body })).rejects.toMatchObject({
      code: 'approval.own_run',
    });
    await one.approvals.decide({ ...one.caller, actor: 'token/tok_2' }, runId, path, { body });
    await one.untilStatus(parent, 'completed');
  });

  it('show in the run who has approved so far, also while it is held', async () => {
    await one.save(
      'name: two\ntriggers: [{ type: manual }]\nsteps: [{ id: ok, approval: { title: Sure?, count: 2, timeout: 1d } }]\n',
    );
    const id = await one.begin('two');
    await one.untilStatus(id, 'waiting');
    const approve = (token: string) =>
      one.approvals.decide({ ...one.caller, actor: `token/${token}` }, id, 'ok', { body: { decision: 'approve' } });
    const waiting = async () => (await one.view(id)).timeline[0]!.waiting;
    expect(await waiting()).toMatch(/^waiting for approval by .* until .*: Sure\?$/);
    await approve('tok_2');
    expect(await waiting()).toMatch(/^1 of 2 approved \(token\/tok_2\); waiting for approval by /);
    await one.commands.pause(one.caller, id);
    await approve('tok_3');
    expect(await waiting()).toBe('approved by token/tok_2, token/tok_3; the run goes on when it is resumed');
    await one.commands.resume(one.caller, id);
    await one.untilStatus(id, 'completed');
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
