import { beforeEach, describe, expect, it } from '@jest/globals';

import type { Caller } from '#libs/access/src/caller.js';
import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import type { EventDraft } from '#libs/event-store/src/new-event.js';
import { Transient } from '#libs/kernel/src/errors.js';
import { publicId, uuid7 } from '#libs/kernel/src/ids.js';

import { useViews } from '../../../test/support/views.js';
import { Follower } from '../../persistence/testing/follower.js';
import { PendingActionController } from './pending-action.controller.js';
import { PendingActions } from './pending-action.projection.js';

const byRule = { kind: 'rule' as const, ruleId: 'rul_1', ruleVersion: 1, index: 0 };
const caller: Caller = { orgId: 'org_1', actor: 'token/tok_1', tokenId: 'tok_1', roles: [] };

const views = useViews();

let store: MemoryEventStore;
let follower: Follower;
let minute: number;
beforeEach(async () => {
  store = new MemoryEventStore();
  follower = new Follower(store, views.dataSource);
  minute = 0;
});

async function record(draft: EventDraft, orgId = 'org_1'): Promise<string> {
  const id = uuid7();
  const now = new Date(Date.UTC(2026, 10, 20, 12, minute++));
  await store.append(`s-${id}`, [newEvent(draft, { id, orgId, actor: 'rule/rul_1', now })], 'no-stream');
  return id;
}
const message = (text: string, orgId?: string) =>
  record(
    {
      type: 'message.requested',
      data: { requestedBy: byRule, eventId: 'evt_1', integration: 'int_1', channel: '#ops', text },
    },
    orgId,
  );
const agent = (name: string) =>
  record({ type: 'agent.requested', data: { requestedBy: byRule, eventId: 'evt_1', agent: name, input: {} } });

const follow = () => follower.run(new PendingActions());
/** As the runner: a reader waits until it is there. */
const controller = (whenProcessed = follow) => new PendingActionController(views.dataSource, store, { whenProcessed });
const list = (...query: (string | undefined)[]) => controller().list(caller, ...query);

describe('actions that nobody carries out', () => {
  it('are listed with who asked, for what and why, the newest first', async () => {
    const first = await message('the database is slow');
    const second = await agent('triage');
    expect((await list('pending')).data).toEqual([
      {
        id: publicId('exec', second),
        type: 'dispatch_agent',
        status: 'pending',
        requestedBy: byRule,
        eventId: 'evt_1',
        details: { agent: 'triage' },
        requestedAt: '2026-11-20T12:01:00.000Z',
      },
      {
        id: publicId('evt', first),
        type: 'send_message',
        status: 'pending',
        requestedBy: byRule,
        eventId: 'evt_1',
        details: { integration: 'int_1', channel: '#ops', text: 'the database is slow' },
        requestedAt: '2026-11-20T12:00:00.000Z',
      },
    ]);
    expect((await list(undefined, 'send_message')).data.map(({ id }) => id)).toEqual([publicId('evt', first)]);
  });

  it('are there once, whatever is handled again, and gone when they are taken back', async () => {
    const id = publicId('exec', await agent('triage'));
    await follow();
    await follower.again(new PendingActions());
    expect((await list()).data).toHaveLength(1);
    await record({ type: 'agent.cancelled', data: { executionId: id } });
    expect((await list()).data).toEqual([]);
  });

  it('of a plug-in say how often they have failed, and are gone when they are carried out or given up', async () => {
    const ask = (action: string) =>
      record({
        type: 'action.requested',
        data: { requestedBy: byRule, eventId: 'evt_1', action, input: { secret: 's' } },
      });
    const [done, given] = [publicId('evt', await ask('page')), publicId('evt', await ask('call'))];
    expect((await list('pending', 'action')).data).toMatchObject([
      { id: given, type: 'action', requestedBy: byRule, eventId: 'evt_1', details: { action: 'call' } },
      { id: done, details: { action: 'page' } },
    ]);
    const outcome = (requestId: string, action: string) => ({
      requestId,
      request: { stream: 's', revision: '0' },
      requestedBy: byRule,
      eventId: 'evt_1',
      action,
      latencyMs: 1,
    });
    const error = { code: 'http.status', message: '503' };
    const failure = { ...outcome(given, 'call'), attempt: 1, error };
    const nextAttemptAt = '2026-11-20T13:00:00.000Z';
    await record({ type: 'action.failed', data: { ...failure, final: false, nextAttemptAt } });
    await record({ type: 'action.completed', data: { ...outcome(done, 'page'), output: null, attempts: 1 } });
    expect((await list()).data.map(({ details }) => details)).toEqual([
      { action: 'call', attempts: '1', error: 'http.status: 503', nextAttemptAt },
    ]);
    await record({ type: 'action.failed', data: { ...failure, attempt: 2, final: true } });
    expect((await list()).data).toEqual([]);
  });

  it('of an organisation are its own', async () => {
    await message('theirs', 'org_2');
    expect((await list()).data).toEqual([]);
  });

  it('come page by page, also where many were asked for at the same moment', async () => {
    for (let n = 0; n < 5; n++) {
      minute = 0;
      await message(String(n));
    }
    const seen: string[] = [];
    let cursor: string | null | undefined;
    do {
      const page = await list(undefined, undefined, '2', cursor ?? undefined);
      seen.push(...page.data.map(({ id }) => id));
      cursor = page.nextCursor;
    } while (cursor !== null);
    expect(new Set(seen).size).toBe(5);
    expect(seen).toEqual([...seen].sort().reverse());
  });

  it('are stored whatever they say', async () => {
    await message(`\0${'x'.repeat(5_000)}`);
    await message('😀'.repeat(501).slice(1));
    const [cut, long] = (await list()).data;
    expect((cut!.details as { text: string }).text.startsWith('\ufffd')).toBe(true);
    expect((long!.details as { text: string }).text).toBe(`\ufffd${'x'.repeat(999)}`);
  });

  it('are listed as far as they are known where the list is behind', async () => {
    await message('known');
    await follow();
    const behind = () => Promise.reject(new Transient('subscriber.behind', 'behind'));
    expect((await controller(behind).list(caller)).data).toHaveLength(1);
  });

  it('are told apart by what there is, and nothing else', async () => {
    await expect(list('done')).rejects.toMatchObject({ code: 'action.bad_filter' });
    await expect(list(undefined, 'send_webhook')).rejects.toMatchObject({
      message: '"type" must be dispatch_agent, send_message or action.',
    });
    const cursor = Buffer.from('["soon","x"]').toString('base64url');
    await expect(list(undefined, undefined, undefined, cursor)).rejects.toMatchObject({ code: 'list.bad_cursor' });
  });
});
