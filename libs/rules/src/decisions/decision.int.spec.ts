import { beforeEach, describe, expect, it } from '@jest/globals';

import type { Caller } from '#libs/access/src/caller.js';
import { DecisionSources } from '#libs/event-index/src/decision-sources.js';
import { EventReader } from '#libs/event-index/src/event-reader.adapter.js';
import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import type { Progress, Subscriber } from '#libs/event-store/src/subscriber.js';
import { catalogue, type EventType } from '#libs/events/src/catalogue.js';
import { eventIdOf } from '#libs/events/src/envelope.js';
import { followers } from '#libs/events/src/followers.js';
import { FixedClock } from '#libs/kernel/src/clock.js';
import { uuid7 } from '#libs/kernel/src/ids.js';

import { openBudget } from '../../../event-index/testing/open-budget.js';
import { useViews } from '../../../../test/support/views.js';
import { Follower } from '../../../persistence/testing/follower.js';
import { noWork } from '../../../persistence/testing/no-work.js';
import { RuleProjection } from '../rule/rule.projection.js';
import { DecideRules } from './decide.subscriber.js';
import { type DecisionAnswer, DecisionController } from './decision.controller.js';
import { DecisionProjection } from './decision.projection.js';
import { type RecordedDecision, RecordedDecisions } from './recorded-decisions.js';
import { RuleDecisions } from './rule-decisions.adapter.js';

let sources: DecisionSources;
const views = useViews();
let store: MemoryEventStore;
let clock: FixedClock;
let decider: DecideRules;
let follower: Follower;

beforeEach(async () => {
  sources = new DecisionSources();
  clock = new FixedClock('2026-11-20T12:00:00Z');
  store = new MemoryEventStore(() => clock.now());
  decider = new DecideRules(store, clock, noWork, openBudget(store));
  follower = new Follower(store, views.dataSource);
});

const caller: Caller = { orgId: 'org_1', actor: 'token/tok_1', tokenId: 'tok_1', roles: ['admin'] };

const run = (subscriber: Subscriber) => follower.run(subscriber);

async function append(type: string, data: object, source = 'github', more: object = {}): Promise<string> {
  const id = uuid7();
  const event = newEvent({ type, data }, { id, orgId: 'org_1', actor: 'x', now: clock.now(), source });
  const metadata = JSON.stringify({ ...(JSON.parse(event.metadata) as object), ...more });
  await store.append(`s-${id}`, [{ ...event, metadata }], 'no-stream');
  return eventIdOf(id);
}

const ruleId = (n: number) => `rul_${String(n).padStart(3, '0')}`;
const definition = (n: number, branch: string) => ({
  name: `rule ${n} on ${branch}`,
  eventSource: n % 3 === 0 ? 'gitlab' : '*',
  eventType: 'git.*',
  conditions:
    n % 5 === 0
      ? { expression: Array(40).fill('[@, @][]').join(' | ') }
      : { all: [{ field: 'data.branch', operator: n % 2 === 0 ? 'equals' : 'starts_with', value: branch }] },
  actions: [],
});
const save = (n: number, version: number, branch: string) =>
  version === 1
    ? append('rule.created', { ruleId: ruleId(n), version, enabled: true, definition: definition(n, branch) })
    : append('rule.updated', { ruleId: ruleId(n), version, definition: definition(n, branch) });

/** Rules come, change and go while events happen, a minute apart. */
async function history(): Promise<void> {
  const branches = ['main', 'topic', 'next'];
  let version = 1;
  for (let n = 0; n < 12; n++) await save(n, 1, branches[n % 3]!);
  for (let n = 0; n < 90; n++) {
    clock.advance(60_000);
    await append(
      n % 4 === 0 ? 'git.tag_pushed' : 'git.push',
      { branch: branches[n % 3], n },
      n % 2 ? 'gitlab' : 'github',
    );
    if (n % 15 === 7) await save(4, ++version, branches[n % 2]!);
    if (n === 40) await append('rule.disabled', { ruleId: ruleId(2) });
    if (n === 60) await append('rule.enabled', { ruleId: ruleId(2) });
    if (n === 70) await append('rule.archived', { ruleId: ruleId(1) });
    if (n % 9 === 0) await run(decider);
  }
  await settle();
}

async function settle(): Promise<void> {
  for (const subscriber of [decider, new RuleProjection(), new DecisionProjection()]) await run(subscriber);
}

async function logged(): Promise<readonly RecordedDecision[]> {
  const reader = new RecordedDecisions();
  const found: RecordedDecision[] = [];
  const { events } = await store.readAll({ limit: 10_000 });
  for (const event of events) found.push(...reader.read(event));
  return found;
}

const noWait: Progress = { whenProcessed: () => Promise.resolve() };
const api = (progress = noWait) => {
  const events = new EventReader(views.dataSource, store, noWait);
  const all = new DecisionSources();
  all.add({
    decisionsOn: (query, limit) => sources.decisionsOn(query, limit),
    waitingRequests: (orgId, requests) =>
      sources.waitingRequests(orgId, requests).then((waiting) => [...waiting.values()]),
  });
  return new DecisionController(views.dataSource, events, all, new RuleDecisions(views.dataSource, progress, all));
};

const ofEvent = async (eventId: string, limit?: string, cursor?: string) => {
  const page = await api().ofEvent(caller, eventId, limit, cursor);
  return { ...page, data: page.data as readonly DecisionAnswer[] };
};

async function pages(
  ask: (cursor?: string) => Promise<{ data: readonly DecisionAnswer[]; nextCursor: string | null }>,
): Promise<readonly DecisionAnswer[]> {
  const all: DecisionAnswer[] = [];
  let cursor: string | undefined;
  do {
    const page = await ask(cursor);
    all.push(...page.data);
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined);
  return all;
}

const keyOf = ({ eventId, ruleId: id }: { eventId: string; ruleId: string }) => `${eventId} ${id}`;
const bare = ({ kind: _, eventType: __, at: ___, ...decision }: DecisionAnswer) => decision;
const sorted = <T extends { eventId: string; ruleId: string }>(all: readonly T[]): readonly T[] =>
  all.toSorted((one, other) => (keyOf(one) < keyOf(other) ? -1 : 1));

describe('the decisions of a history', () => {
  it('are listed by event as the log has them, whole and page by page', async () => {
    await history();
    const all = await logged();
    expect(all.length).toBeGreaterThan(700);
    for (const eventId of new Set(all.map((decision) => decision.eventId))) {
      const wanted = all.filter((decision) => decision.eventId === eventId);
      const { data, nextCursor } = await ofEvent(eventId);
      expect(nextCursor).toBeNull();
      expect(data.map(bare)).toEqual(sorted(wanted));
      expect(await pages((cursor) => ofEvent(eventId, '3', cursor))).toEqual(data);
    }
  });

  it('are listed by rule, newest first, by outcome and by time, page by page', async () => {
    await history();
    const all = await logged();
    for (const id of [1, 2, 4, 5, 6, 7].map(ruleId)) {
      const own = all.filter((decision) => decision.ruleId === id);
      const list = (outcome: string, limit: string, from = '', to = '') =>
        pages((cursor) => api().ofRule(caller, id, outcome, limit, cursor, from, to));
      const found = await list('', '200');
      expect(sorted(found).map(bare)).toEqual(sorted(own));
      expect(found.map(({ at }) => at)).toEqual(
        found
          .map(({ at }) => at)
          .toSorted()
          .toReversed(),
      );
      expect(await list('', '7')).toEqual(found);
      for (const outcome of ['matched', 'not_matched', 'errored', 'throttled'])
        expect(await list(outcome, '5')).toEqual(found.filter((decision) => decision.outcome === outcome));
      const [from, to] = ['2026-11-20T12:30:00Z', '2026-11-20T13:00:00Z'].map((time) => new Date(time).toISOString());
      expect(await list('', '7', from, to)).toEqual(found.filter(({ at }) => at >= from! && at < to!));
    }
  });

  it('are not shown to others, and ids and cursors that were made up are refused', async () => {
    await history();
    const stranger = { ...caller, orgId: 'org_2' };
    const [{ eventId }] = (await logged()) as [RecordedDecision];
    for (const [who, id] of [
      [stranger, eventId],
      [caller, 'evt_nonsense'],
    ] as const)
      await expect(api().ofEvent(who, id)).rejects.toMatchObject({ code: 'event.not_found' });
    for (const [who, id] of [
      [stranger, ruleId(4)],
      [caller, 'rul_nonsense'],
    ] as const)
      await expect(api().ofRule(who, id)).rejects.toMatchObject({ code: 'rule.not_found' });
    const cursor = Buffer.from(JSON.stringify(['x', 'y', 'z'])).toString('base64url');
    await expect(api().ofRule(caller, ruleId(4), '', '5', cursor)).rejects.toMatchObject({ code: 'list.bad_cursor' });
    await expect(api().ofRule(caller, ruleId(4), 'almost')).rejects.toMatchObject({ code: 'decision.bad_outcome' });
    await expect(api().ofRule(caller, ruleId(4), '', '5', '', 'soon')).rejects.toMatchObject({
      code: 'decision.bad_time',
    });
  });

  it('waits for the versions of the rules where their view is behind', async () => {
    await save(4, 1, 'main');
    const eventId = await append('git.push', { branch: 'topic' });
    await run(decider);
    await run(new DecisionProjection());
    const progress: Progress = {
      whenProcessed: async (name) => {
        expect(name).toBe(followers.ruleViews);
        await run(new RuleProjection());
      },
    };
    const { data } = await api(progress).ofEvent(caller, eventId);
    expect(data).toMatchObject([{ ruleName: 'rule 4 on main', failed: { expected: 'main', actual: 'topic' } }]);
  });

  it('say what another stage refused, and why', async () => {
    const actions = [
      { type: 'create_issue', with: { title: 'a' } },
      { type: 'dispatch_workflow', with: { workflow: 'gone' } },
    ];
    const matching = { ...definition(4, 'main'), actions };
    await append('rule.created', { ruleId: ruleId(4), version: 1, enabled: true, definition: matching });
    const eventId = await append('git.push', { branch: 'main' });
    await settle();
    const { events } = await store.readAll({ limit: 100 });
    const asked = events.find((event) => event.is('workflow.requested'))!;
    const data = {
      action: 'dispatch_workflow',
      reason: 'unknown-workflow',
      detail: 'There is no workflow gone.',
      eventId: eventIdOf(asked.id),
    };
    const { requestedBy } = asked.data as { requestedBy: object };
    await append('action.refused', { ...data, requestedBy }, 'millrace', { $causationId: asked.id });
    // Of a run, and of nobody.
    await append('action.refused', data, 'millrace', { $causationId: uuid7() });
    await settle();
    const [{ actions: shown }] = (await api().ofEvent(caller, eventId)).data as [DecisionAnswer];
    expect(shown).toEqual([
      { type: 'create_issue', requestId: expect.any(String) },
      {
        type: 'dispatch_workflow',
        requestId: eventIdOf(asked.id),
        refused: 'unknown-workflow',
        detail: 'There is no workflow gone.',
      },
    ]);
    expect((await api().ofRule(caller, ruleId(4))).data[0]!.actions).toEqual(shown);
  });

  it('say what failed for good, and what waits for something that does not exist', async () => {
    const actions = [
      { type: 'send_message', with: { integration: 'gone', text: 'x' } },
      { type: 'create_issue', with: { title: 'a', tracker: 'gone' } },
      { type: 'dispatch_agent', with: { agent: 'failing' } },
      { type: 'page-on-call', with: {} },
      { type: 'page-on-call', with: {} },
      { type: 'dispatch_agent', with: { agent: 'gone' } },
    ];
    const matching = { ...definition(4, 'main'), actions };
    await append('rule.created', { ruleId: ruleId(4), version: 1, enabled: true, definition: matching });
    const eventId = await append('git.push', { branch: 'main' });
    await settle();
    const { events } = await store.readAll({ limit: 100 });
    const requests = events.filter(({ type }) => /requested$/.test(type));
    const fail = (index: number, type: EventType, data: object) =>
      append(
        type,
        {
          ...catalogue[type].example,
          requestedBy: { kind: 'rule', ruleId: ruleId(4), ruleVersion: 1, index },
          ...data,
        },
        'millrace',
        { $causationId: requests[index]!.id },
      );
    const error = (code: string) => ({ error: { code, message: `Because of ${code}.` } });
    await fail(0, 'message.failed', error('message.unknown_integration'));
    await fail(1, 'tracker.failed', error('tracker.unknown_integration'));
    await fail(2, 'agent.failed', { ...error('agent.removed'), trigger: 'rule' });
    await fail(3, 'action.failed', { ...error('http.status'), final: true });
    await fail(4, 'action.failed', { ...error('http.status'), final: false });
    await settle();
    const ids = requests.map(({ id }) => eventIdOf(id));
    const waiting = { requestId: ids[5]!, waiting: 'agent.unknown', detail: 'There is no agent "gone".' };
    sources.add({ waitingRequests: (_, asked) => Promise.resolve(asked.includes(ids[5]!) ? [waiting] : []) });
    const [{ actions: shown }] = (await api().ofEvent(caller, eventId)).data as [DecisionAnswer];
    const failed = (code: string) => ({ failed: code, detail: `Because of ${code}.` });
    expect(shown.map(({ type: _, requestId, ...more }) => [ids.indexOf(requestId), more])).toEqual([
      [0, failed('message.unknown_integration')],
      [1, failed('tracker.unknown_integration')],
      [2, failed('agent.removed')],
      [3, failed('http.status')],
      [4, {}],
      [5, { waiting: 'agent.unknown', detail: 'There is no agent "gone".' }],
    ]);
    expect((await api().ofRule(caller, ruleId(4))).data[0]!.actions).toEqual(shown);
  });

  it('take one row for each event that no rule matched, however many rules there are', async () => {
    for (let n = 0; n < 300; n++)
      await append('rule.created', {
        ruleId: ruleId(n),
        version: 1,
        enabled: true,
        definition: { ...definition(4, `b${n}`), name: `${n}` },
      });
    for (let n = 0; n < 40; n++) await append('git.push', { branch: 'other' });
    await settle();
    const [rows] = await views.dataSource.query<{ verdicts: string; decisions: string; bytes: string }[]>(
      `select (select count(*) from views.event_verdicts) as verdicts, (select count(*) from views.decisions) as decisions,
              (select sum(pg_column_size(v.*)) from views.event_verdicts v) as bytes`,
    );
    expect(rows).toMatchObject({ verdicts: '40', decisions: '0' });
    expect(Number(rows!.bytes)).toBeLessThan(40 * 250);
    expect((await api().ofRule(caller, ruleId(7), 'not_matched', '200')).data).toHaveLength(40);
  });

  it('of a rule that matches nearly always, asked for what did not match, come in pages of bounded work', async () => {
    await append('rule.created', {
      ruleId: 'rul_a',
      version: 1,
      enabled: true,
      definition: { ...definition(4, 'main'), name: 'always' },
    });
    const first = await append('git.push', { branch: 'topic' });
    await settle();
    const [row] = await views.dataSource.query<{ roll_id: number }[]>('select roll_id from views.event_verdicts');
    await views.dataSource.query(
      `insert into views.event_verdicts (event_id, position, part, roll_id, at, decided, failed)
       select gen_random_uuid(), 1000 + n, 0, $1, '2026-11-21T00:00:00Z'::timestamptz + n * interval '1 second',
              array['rul_a'], '[]'
       from generate_series(1, 25000) n`,
      [row!.roll_id],
    );
    let asked = 0;
    const found = await pages((cursor) => {
      asked++;
      return api().ofRule(caller, 'rul_a', 'not_matched', '10', cursor);
    });
    expect(found.map(({ eventId }) => eventId)).toEqual([first]);
    expect(asked).toBe(3);
  });
});

describe('decisions that were recorded before they were kept together', () => {
  it('are listed beside later ones', async () => {
    await save(4, 1, 'main');
    const old = await append('git.push', { branch: 'old' });
    const decision = (n: number, outcome: string, more: object = {}) => ({
      ruleId: ruleId(n),
      ruleName: `old ${n}`,
      ruleVersion: 1,
      outcome,
      actions: [],
      ...more,
    });
    const failed = {
      pointer: '/conditions/all/0',
      condition: 'data.branch equals "main"',
      field: 'data.branch',
      actual: 'old',
      expected: 'main',
    };
    const decisions = [decision(4, 'not_matched', { failed }), decision(7, 'matched')];
    await append('rule.evaluated', { eventId: old, eventType: 'git.push', decisions }, 'millrace', {
      schemaVersion: 1,
    });
    follower.skipTo(followers.decideRules, await store.head());
    clock.advance(1_000);
    const later = await append('git.push', { branch: 'new' });
    await settle();
    expect((await api().ofEvent(caller, old)).data).toMatchObject(decisions);
    const list = (await api().ofRule(caller, ruleId(4), 'not_matched')).data;
    expect(list.map(({ eventId }) => eventId)).toEqual([later, old]);
    expect(list.map((shown) => (shown.failed as { actual: string }).actual)).toEqual(['new', 'old']);
  });
});
