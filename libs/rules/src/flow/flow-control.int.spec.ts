import { beforeEach, describe, expect, it } from '@jest/globals';

import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import type { Progress, Subscriber } from '#libs/event-store/src/subscriber.js';
import { eventIdOf, MAX_HOPS } from '#libs/events/src/envelope.js';
import type { RuleDefinition } from '#libs/events/src/shapes/rule-shape.js';
import { streams } from '#libs/events/src/streams.js';
import { FixedClock } from '#libs/kernel/src/clock.js';
import { uuid7 } from '#libs/kernel/src/ids.js';
import { PostgresWorkQueue } from '#libs/persistence/src/claims/work-queue.adapter.js';
import type { ClaimedWork, WorkDone } from '#libs/persistence/src/claims/work.js';

import { openBudget } from '../../../event-index/testing/open-budget.js';
import { useViews } from '../../../../test/support/views.js';
import { Follower } from '../../../persistence/testing/follower.js';
import { DecideRules } from '../decisions/decide.subscriber.js';
import { decisionsOnEvent } from '../decisions/decision-lists.adapter.js';
import { DecisionProjection } from '../decisions/decision.projection.js';
import { DecisionCheck } from '../trial/decision-check.js';
import { BURSTS, type BurstTask, lastOfBurst } from './burst-rows.adapter.js';
import { EndBursts } from './end-bursts.worker.js';

const views = useViews();
let store: MemoryEventStore;
let clock: FixedClock;
let follower: Follower;

beforeEach(async () => {
  clock = new FixedClock('2026-11-20T12:00:00Z');
  store = new MemoryEventStore(() => clock.now());
  follower = new Follower(store, views.dataSource);
});

const run = (subscriber: Subscriber, crash = false) => follower.run(subscriber, crash);
const decider = () => new DecideRules(store, clock, new PostgresWorkQueue(views.dataSource), openBudget(store));
const decide = (crash = false) => run(decider(), crash);

async function append(type: string, data: object, stream = `test-${uuid7()}`, hop = 0): Promise<string> {
  const id = uuid7();
  const cause = { $correlationId: id, $causationId: id, hop };
  const given = { id, orgId: 'org_1', actor: 'x', source: 'github', now: clock.now(), cause };
  await store.append(stream, [newEvent({ type, data }, given)], 'any');
  return eventIdOf(id);
}
const definitionOf = (given: Partial<RuleDefinition>) => ({
  name: 'alert',
  eventSource: '*',
  eventType: 'git.push',
  actions: [{ type: 'create_issue', with: { title: '${{ data.host }}' } }],
  ...given,
});
const save = (given: Partial<RuleDefinition>, version = 1, ruleId = 'rul_1') =>
  append(
    version === 1 ? 'rule.created' : 'rule.updated',
    { ruleId, version, enabled: true, definition: definitionOf(given) },
    streams.rule(ruleId),
  );
const push = (host = 'a') => append('git.push', { host });

/** What the decision on each event is now, and why it was held back. */
async function outcomes(...events: readonly string[]): Promise<readonly string[]> {
  await run(new DecisionProjection());
  return Promise.all(
    events.map(async (eventId) => {
      const query = { orgId: 'org_1', eventId, after: '' };
      const found = await decisionsOnEvent(views.dataSource, query, 10, () => Promise.resolve());
      expect(found).toHaveLength(1);
      const { outcome, failed } = found[0]!;
      return outcome === 'throttled' ? `throttled ${failed!.pointer}` : outcome;
    }),
  );
}
const all = async (...types: readonly string[]): Promise<readonly RecordedEvent[]> =>
  (await store.readAll({ limit: 10_000, filter: { types } })).events;
const issues = async () => (await all('issue.requested')).map(({ data }) => (data as { title: string }).title);

const progress: Progress = { whenProcessed: () => decide() };
const worker = () =>
  new EndBursts({ store, clock, progress, lastOf: (burst: BurstTask) => lastOfBurst(views.dataSource, burst) });

interface Row {
  readonly key: string;
  readonly due_at: Date;
  readonly payload: BurstTask;
  readonly position: string;
}
const tasks = async (): Promise<readonly ClaimedWork<BurstTask>[]> =>
  (await views.dataSource.query<Row[]>('select * from views.work where queue = $1 order by key', [BURSTS])).map(
    (row) => ({
      queue: BURSTS,
      key: row.key,
      dueAt: row.due_at,
      payload: row.payload,
      position: BigInt(row.position),
      claims: 1,
    }),
  );
/** Does what is due, as the workers of all processes would. */
async function endBursts(): Promise<readonly WorkDone[]> {
  const due = (await tasks()).filter(({ dueAt }) => dueAt <= clock.now());
  const done: WorkDone[] = [];
  for (const task of due) done.push(await worker().run(task));
  await decide();
  return done;
}

describe('hours', () => {
  it('hold back what comes outside of them, and say so', async () => {
    await save({ window: { from: '09:00', to: '12:01', timezone: 'UTC' } });
    const first = await push();
    clock.advance(60_000);
    const second = await push();
    await decide();
    expect(await outcomes(first, second)).toEqual(['matched', 'throttled /window']);
    const query = { orgId: 'org_1', eventId: second, after: '' };
    const [shown] = await decisionsOnEvent(views.dataSource, query, 10, () => Promise.resolve());
    expect(shown!.failed).toMatchObject({ actual: 'fri 12:01', expected: expect.stringContaining('09:00-12:01 UTC') });
  });

  it('do not let count what they hold back', async () => {
    await save({ window: { from: '12:01' }, throttle: { limit: 1, per: '1h' }, once: { quiet: '30s' } });
    const early = await push();
    clock.advance(60_000);
    const late = await push();
    await decide();
    expect(await outcomes(early, late)).toEqual(['throttled /window', 'matched']);
  });
});

describe('once', () => {
  it('lets the first of a burst act, for each key, over restarts', async () => {
    await save({ once: { key: '${{ data.host }}', quiet: '1m' } });
    const events: string[] = [];
    for (const [wait, host] of [
      [0, 'a'],
      [30, 'a'],
      [0, 'b'],
      [59, 'a'],
      [60, 'a'],
    ] as const) {
      clock.advance(wait * 1_000);
      events.push(await push(host));
      await decide();
    }
    const held = 'throttled /once';
    expect(await outcomes(...events)).toEqual(['matched', held, 'matched', held, 'matched']);
  });

  it('gives the same answer after a crash', async () => {
    await save({ once: { quiet: '1m' } });
    const events = [await push(), await push()];
    await decide(true);
    await decide(true);
    await decide();
    expect(await outcomes(...events)).toEqual(['matched', 'throttled /once']);
    expect(await issues()).toEqual(['a']);
  });

  it('counts for the throttle what it lets through alone', async () => {
    await save({ once: { quiet: '10s' }, throttle: { limit: 2, per: '1h' } });
    const events: string[] = [];
    for (const wait of [0, 1, 11, 1, 11]) {
      clock.advance(wait * 1_000);
      events.push(await push());
    }
    await decide();
    const once = 'throttled /once';
    expect(await outcomes(...events)).toEqual(['matched', once, 'matched', once, 'throttled /throttle']);
  });
});

describe('half a surrogate pair in a key', () => {
  it.each<[string, Partial<RuleDefinition>]>([
    ['throttle', { throttle: { key: '${{ data.host }}', limit: 1, per: '1h' } }],
    ['once', { once: { key: '${{ data.host }}', quiet: '1h' } }],
  ])('is counted as any other: %s', async (name, given) => {
    await save(given);
    const events: string[] = [];
    for (const host of ['\ud800', '\ud800', '\ufffd']) {
      events.push(await push(host));
      await decide();
    }
    expect(await outcomes(...events)).toEqual(['matched', `throttled /${name}`, 'matched']);
  });
});

describe('a match that cannot act', () => {
  const actions = [{ type: 'dispatch_workflow', with: { workflow: '${{ data.workflow }}' } }];
  const pushWith = (workflow?: string) => append('git.push', { host: 'a', workflow });

  it.each<[string, Partial<RuleDefinition>, readonly string[]]>([
    ['once', { once: { quiet: '1m' } }, ['errored', 'matched', 'throttled /once']],
    ['throttle', { throttle: { limit: 1, per: '1m' } }, ['errored', 'matched', 'throttled /throttle']],
    ['debounce', { debounce: { quiet: '1m' } }, ['errored', 'throttled /debounce', 'matched']],
    [
      'debounce and throttle',
      { debounce: { quiet: '1m' }, throttle: { limit: 1, per: '1h' } },
      ['errored', 'throttled /debounce', 'matched'],
    ],
  ])('counts for nothing: %s', async (_, given, wanted) => {
    await save({ actions, ...given });
    const events = [await pushWith(), await pushWith('a'), await pushWith('b')];
    await decide();
    clock.advance(60_000);
    await endBursts();
    expect(await outcomes(...events)).toEqual(wanted);
    expect(await all('workflow.requested')).toHaveLength(1);
  });
});

describe('debounce', () => {
  const quiet = { debounce: { key: '${{ data.host }}', quiet: '1m' } };
  const held = 'throttled /debounce';

  it('lets the last of a burst act once it is quiet, for each key', async () => {
    await save(quiet);
    const events = [await push('a'), await push('b')];
    clock.advance(30_000);
    events.push(await push('a'));
    await decide();
    clock.advance(59_000);
    await endBursts();
    expect(await outcomes(...events)).toEqual([held, 'matched', held]);
    clock.advance(1_000);
    await endBursts();
    expect(await outcomes(...events)).toEqual([held, 'matched', 'matched']);
    expect(await issues()).toEqual(['b', 'a']);
    expect(await tasks()).toEqual([]);
    expect(await views.dataSource.query('select * from views.rule_bursts')).toEqual([]);
  });

  it('names the event that led to the action, and what told that the burst is over', async () => {
    await save(quiet);
    const eventId = await push();
    await decide();
    clock.advance(60_000);
    await endBursts();
    const [requested] = await all('issue.requested');
    const [event] = await all('git.push');
    const [ended] = await all('rule.burst_ended');
    expect(requested!.data).toMatchObject({ eventId, requestedBy: { ruleId: 'rul_1', ruleVersion: 1 } });
    expect(requested!.metadata.$causationId).toBe(event!.id);
    expect(ended!.data).toEqual({ ruleId: 'rul_1', key: 'a', eventId, position: String(event!.position) });
    expect(ended!.metadata).toMatchObject({ $causationId: event!.id, subject: 'rule/rul_1' });
  });

  it('is done once, however often processes die or claim it', async () => {
    await save(quiet);
    const events = [await push(), await push()];
    await decide(true);
    await decide();
    clock.advance(60_000);
    const [task] = await tasks();
    await decide(true);
    const [one, other] = await Promise.all([worker().run(task!), worker().run(task!)]);
    expect(one.position).toBe(other.position);
    await decide(true);
    await decide(true);
    await decide();
    // A worker that was away for long.
    await worker().run(task!);
    await decide();
    expect(await outcomes(...events)).toEqual([held, 'matched']);
    expect(await issues()).toEqual(['a']);
    expect(await all('rule.burst_ended')).toHaveLength(1);
  });

  it('goes on with a match that came before its end was told, and is due anew', async () => {
    await save(quiet);
    const events = [await push()];
    await decide();
    clock.advance(59_999);
    const [task] = await tasks();
    events.push(await push());
    // The row that the worker holds is an old one.
    clock.advance(1);
    await worker().run(task!);
    await decide();
    expect(await outcomes(...events)).toEqual([held, held]);
    clock.advance(60_000);
    await endBursts();
    expect(await outcomes(...events)).toEqual([held, 'matched']);
  });

  it('goes on where its end was told between a match and the decision about it', async () => {
    await save(quiet);
    const first = await push();
    await decide();
    clock.advance(60_000);
    const [task] = await tasks();
    const late: Progress = { whenProcessed: () => Promise.resolve() };
    const blind = new EndBursts({ store, clock, progress: late, lastOf: (one) => lastOfBurst(views.dataSource, one) });
    clock.advance(-1);
    const second = await push();
    clock.advance(1);
    const { position } = await blind.run(task!);
    await decide();
    expect(await outcomes(first, second)).toEqual([held, held]);
    // Rests until something of that position or later schedules it.
    expect(await tasks()).toMatchObject([{ position, dueAt: new Date(clock.now().getTime() + 59_999) }]);
    clock.advance(60_000);
    await endBursts();
    expect(await outcomes(first, second)).toEqual([held, 'matched']);
  });

  it('ends without being told when the next match comes late', async () => {
    await save(quiet);
    const first = await push();
    clock.advance(60_000);
    const second = await push();
    await decide();
    expect(await outcomes(first, second)).toEqual(['matched', held]);
    clock.advance(60_000);
    await endBursts();
    expect(await outcomes(first, second)).toEqual(['matched', 'matched']);
    expect(await issues()).toEqual(['a', 'a']);
  });

  it('ends at the latest after maxWait', async () => {
    await save({ debounce: { quiet: '1m', maxWait: '90s' } });
    const events: string[] = [];
    for (const wait of [0, 45, 44]) {
      clock.advance(wait * 1_000);
      events.push(await push());
      await decide();
    }
    clock.advance(1_000);
    await endBursts();
    expect(await outcomes(...events)).toEqual([held, held, 'matched']);
  });

  it('counts for the throttle when it acts', async () => {
    await save({ debounce: { quiet: '1m' }, throttle: { limit: 1, per: '1h' } });
    const events = [await push()];
    await decide();
    clock.advance(60_000);
    await endBursts();
    events.push(await push());
    await decide();
    clock.advance(60_000);
    await endBursts();
    expect(await outcomes(...events)).toEqual(['matched', 'throttled /throttle']);
  });

  it.each(['rule.disabled', 'rule.archived'])('does not act when the rule is gone by then: %s', async (type) => {
    await save(quiet);
    const eventId = await push();
    await decide();
    await append(type, { ruleId: 'rul_1' }, streams.rule('rul_1'));
    clock.advance(60_000);
    await endBursts();
    expect(await issues()).toEqual([]);
    await run(new DecisionProjection());
    const query = { orgId: 'org_1', eventId, after: '' };
    const [shown] = await decisionsOnEvent(views.dataSource, query, 10, () => Promise.resolve());
    expect(shown).toMatchObject({
      outcome: 'throttled',
      ruleName: 'alert',
      ruleVersion: 1,
      failed: { field: 'enabled', actual: false },
    });
  });

  it.each<[string, Partial<RuleDefinition>, string]>([
    ['still matches', { ...quiet, name: 'new' }, 'matched'],
    ['waits no more', { name: 'new' }, 'matched'],
    ['does not match', { conditions: { field: 'data.host', operator: 'equals', value: 'z' } }, 'not_matched'],
    ['names another type', { eventType: 'pr.opened' }, 'not_matched'],
    ['names another source', { eventSource: 'gitlab' }, 'not_matched'],
    ['does not compile', { conditions: { expression: '(' } }, 'errored'],
  ])('is decided by the rule as it is then: one that %s', async (_, change, outcome) => {
    await save(quiet);
    const eventId = await push();
    await decide();
    await save(change, 2);
    clock.advance(60_000);
    await endBursts();
    expect(await outcomes(eventId)).toEqual([outcome]);
    expect(await issues()).toHaveLength(outcome === 'matched' ? 1 : 0);
  });

  it('leaves nothing for the check of decisions to find', async () => {
    await save(quiet);
    await push();
    await decide();
    clock.advance(60_000);
    await endBursts();
    const { events } = await store.readAll({ limit: 1_000 });
    const check = new DecisionCheck(events.at(-1)!.position);
    for (const event of events) check.look(event);
    expect(check.result()).toMatchObject({ events: 1, discrepancies: [] });
  });

  it('takes any key', async () => {
    await save(quiet);
    const hosts = ['x'.repeat(100_000), 'a\u0000', '', '\ud800', 'a\udfff'];
    for (const host of hosts) await push(host);
    await decide();
    clock.advance(60_000);
    await endBursts();
    expect(await issues()).toHaveLength(hosts.length);
  });

  it('cannot wait for itself for ever', async () => {
    await save({ eventType: 'rule.burst_ended', debounce: { quiet: '1s' }, actions: [] });
    await append(
      'rule.burst_ended',
      { ruleId: 'rul_0', key: '', eventId: 'evt_x', position: '1' },
      streams.burst('rul_0', 'x'),
    );
    for (let round = 0; round < MAX_HOPS + 5; round++) {
      await decide();
      clock.advance(1_000);
      await endBursts();
    }
    const count = (await all('rule.burst_ended')).length;
    expect(count).toBeLessThanOrEqual(MAX_HOPS + 2);
    expect(await tasks()).toEqual([]);
  });
});
