import { beforeEach, describe, expect, it } from '@jest/globals';

import type { Caller } from '#libs/access/src/caller.js';
import { DecisionSources } from '#libs/event-index/src/decision-sources.js';
import { EventReader } from '#libs/event-index/src/event-reader.adapter.js';
import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import type { Progress } from '#libs/event-store/src/subscriber.js';
import { eventIdOf } from '#libs/events/src/envelope.js';
import { followers } from '#libs/events/src/followers.js';
import { streams } from '#libs/events/src/streams.js';
import { Transient } from '#libs/kernel/src/errors.js';
import { uuid7 } from '#libs/kernel/src/ids.js';

import { useViews } from '../../../../test/support/views.js';
import { indexEvents } from '../../../event-index/testing/index-events.js';
import { WhyController } from './why.controller.js';

const caller: Caller = { orgId: 'org_1', actor: 'token/tok_1', tokenId: 'tok_1', roles: ['auditor'] };
const RECORDED = new Date('2026-11-20T12:00:00Z');

const views = useViews();
let store: MemoryEventStore;
const trigger = {
  workflowId: 'wf_1',
  workflow: 'deploy',
  trigger: 0,
  reason: 'type' as const,
  event: ['pr.*'],
  source: ['*'],
};
const sources = new DecisionSources();
sources.add({
  nearestTriggers: (orgId, eventId, { type }) =>
    Promise.resolve(orgId === 'org_1' && eventId !== '' && type === 'git.push' ? [trigger] : []),
});
/** Names of subscribers that do not get on. */
let behind: readonly string[];

beforeEach(async () => {
  store = new MemoryEventStore(() => RECORDED);
  behind = [];
});

const controller = () => {
  const progress: Progress = {
    whenProcessed: (name) =>
      behind.includes(name) ? Promise.reject(new Transient('subscriber.behind', 'behind')) : Promise.resolve(),
  };
  const reader = new EventReader(views.dataSource, store, progress);
  return new WhyController(store, views.dataSource, progress, reader, sources);
};

async function push(): Promise<string> {
  const id = uuid7();
  const context = { id, orgId: 'org_1', actor: 'x', source: 'github', now: RECORDED };
  const stream = streams.inbound('int_1', id);
  await store.append(stream, [newEvent({ type: 'git.push', data: {} }, context)], 'no-stream');
  await indexEvents(views.dataSource, store);
  return eventIdOf(id);
}

const save = (id: string, definition: object, more: { orgId?: string; status?: string; at?: string } = {}) =>
  views.dataSource.query(
    `insert into views.rules (id, org_id, name, version, status, definition, revision, created_at, updated_at)
     values ($1, $2, $1, 1, $3, $4, 0, $5, $5)`,
    [
      id,
      more.orgId ?? 'org_1',
      more.status ?? 'enabled',
      JSON.stringify({ name: id, eventSource: '*', eventType: 'git.push', actions: [], ...definition }),
      more.at ?? '2026-11-01T00:00:00Z',
    ],
  );

describe('why a rule has no verdict', () => {
  it('is answered for the rules of the organisation that left none, the nearest first', async () => {
    const eventId = await push();
    await save('lab', { eventSource: 'gitlab' });
    await save('off', {}, { status: 'disabled' });
    await save('new', {}, { at: '2026-11-20T13:00:00Z' });
    await save('tags', { eventType: 'git.tag_pushed' });
    await save('gone', {}, { status: 'archived' });
    await save('theirs', {}, { orgId: 'org_2' });
    await save('asked', {});
    await views.dataSource.query(
      `insert into views.decisions (position, ordinal, event_id, event_type, org_id, rule_id, rule_name, rule_version, outcome, actions, at)
       values (9, 0, $1, 'git.push', 'org_1', 'asked', 'asked', 1, 'matched', '[]', now())`,
      [eventId],
    );
    expect(await controller().why(caller, eventId)).toEqual({
      eventId,
      type: 'git.push',
      source: 'github',
      decided: true,
      decisions: 1,
      rules: 5,
      nearest: [
        { ruleId: 'off', ruleName: 'off', reason: 'disabled', eventSource: '*', eventType: 'git.push' },
        { ruleId: 'new', ruleName: 'new', reason: 'created_later', eventSource: '*', eventType: 'git.push' },
        { ruleId: 'lab', ruleName: 'lab', reason: 'source', eventSource: 'gitlab', eventType: 'git.push' },
        { ruleId: 'tags', ruleName: 'tags', reason: 'type', eventSource: '*', eventType: 'git.tag_pushed' },
      ],
      nearestTriggers: [trigger],
    });
  });

  it.each([followers.decideRules, followers.decisionViews])('waits for nobody who is far behind: %s', async (name) => {
    const eventId = await push();
    behind = [name];
    expect(await controller().why(caller, eventId)).toMatchObject({ decided: false, decisions: 0 });
  });

  it('is not answered for an event of others, or one that there is not', async () => {
    const eventId = await push();
    for (const [who, id] of [
      [{ ...caller, orgId: 'org_2' }, eventId],
      [caller, eventIdOf(uuid7())],
      [caller, 'evt_nonsense'],
    ] as const)
      await expect(controller().why(who, id)).rejects.toMatchObject({ code: 'event.not_found' });
  });
});
