import { TokenTable } from '#libs/access/src/token/token.table.js';
import { NamedSecretTable } from '#libs/access/src/named-secrets/named-secret.table.js';
import { OwnTypeTable } from '#libs/event-types/src/own-type.table.js';
import { beforeEach, describe, expect, it } from '@jest/globals';
import type { CommandBus } from '@nestjs/cqrs';
import { Type } from '@sinclair/typebox';

import type { Caller } from '#libs/access/src/caller.js';
import { DecisionSources } from '#libs/event-index/src/decision-sources.js';
import { EventReader } from '#libs/event-index/src/event-reader.adapter.js';
import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { execute, type ThingCommand } from '#libs/event-store/src/command-handlers.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import type { Progress, Subscriber } from '#libs/event-store/src/subscriber.js';
import { eventIdOf } from '#libs/events/src/envelope.js';
import { followers } from '#libs/events/src/followers.js';
import { streams } from '#libs/events/src/streams.js';
import type { RuleAnswer } from '#libs/events/src/shapes/rule-shape.js';
import { FixedClock } from '#libs/kernel/src/clock.js';
import { uuid7 } from '#libs/kernel/src/ids.js';
import type { Page } from '#libs/kernel/src/paging.js';
import { defineAction } from '#libs/plugin-sdk/src/define-action.js';
import { Plugins } from '#libs/plugin-sdk/src/loading/plugins.js';
import { VocabularyTable } from '#libs/vocabulary/src/vocabulary.table.js';

import { openBudget } from '../../../event-index/testing/open-budget.js';
import { useViews } from '../../../../test/support/views.js';
import { indexEvents } from '../../../event-index/testing/index-events.js';
import { Follower } from '../../../persistence/testing/follower.js';
import { noWork } from '../../../persistence/testing/no-work.js';
import { DecideRules } from '../decisions/decide.subscriber.js';
import { DecisionController } from '../decisions/decision.controller.js';
import { DecisionProjection } from '../decisions/decision.projection.js';
import { DecisionView } from '../decisions/decision.view.js';
import { RecordedDecisions } from '../decisions/recorded-decisions.js';
import { RuleDecisions } from '../decisions/rule-decisions.adapter.js';
import { TrialController } from '../trial/trial.controller.js';
import { RuleController } from './rule.controller.js';
import {
  archive,
  create,
  disable,
  enable,
  rule,
  update,
  ArchiveRule,
  CreateRule,
  DisableRule,
  EnableRule,
  UpdateRule,
} from './rule.js';
import { RuleProjection } from './rule.projection.js';
import { RuleVersionView, RuleView } from './rule.view.js';

const views = useViews({ entities: [RuleView, RuleVersionView, DecisionView] });
let store: MemoryEventStore;
let clock: FixedClock;
let follower: Follower;

beforeEach(async () => {
  clock = new FixedClock();
  store = new MemoryEventStore(() => clock.now());
  follower = new Follower(store, views.dataSource);
});

const run = (subscriber: Subscriber, crash = false) => follower.run(subscriber, crash);

const caller: Caller = { orgId: 'org_1', actor: 'token/tok_1', tokenId: 'tok_1', roles: ['admin'] };
const stranger: Caller = { ...caller, orgId: 'org_2' };
const handlers = new Map<unknown, unknown>([
  [CreateRule, create],
  [UpdateRule, update],
  [EnableRule, enable],
  [DisableRule, disable],
  [ArchiveRule, archive],
]);
const commands = {
  execute: (command: ThingCommand) =>
    execute(store, clock, rule, handlers.get(command.constructor) as never, command as never),
} as unknown as CommandBus;
const progress: Progress = { whenProcessed: () => run(new RuleProjection()) };
const pageOnCall = defineAction({
  name: 'page-on-call',
  description: 'Pages the person on call.',
  inputSchema: Type.Object({ text: Type.String() }, { additionalProperties: false }),
  run: () => Promise.resolve(null),
});
const plugins = new Plugins([{ name: 'pager', sdk: 1, actions: [pageOnCall] }]);
const vocabulary = new VocabularyTable(new NamedSecretTable(), new OwnTypeTable(), plugins);
const api = () => new RuleController(commands, views.dataSource, progress, plugins, new TokenTable(), vocabulary);
const headers: Record<string, string> = {};
const list = async (status?: string, limit?: string, cursor?: string, who = caller) =>
  (await api().list(who, reply, status, limit, cursor)) as Page<RuleAnswer>;
const reply = { header: (name: string, value: string) => (headers[name] = value) };

const pushes = {
  name: 'pushes to main',
  eventType: 'git.push',
  conditions: { field: 'data.branch', operator: 'equals', value: 'main' },
  actions: [{ type: 'create_issue', with: { title: 'look at ${{ data.branch }}' } }],
};

const paging = { ...pushes, actions: [{ type: 'page-on-call', with: { text: 'look at ${{ data.branch }}' } }] };

async function push(data: object, orgId = 'org_1'): Promise<string> {
  const id = uuid7();
  const event = newEvent({ type: 'git.push', data }, { id, orgId, actor: 'x', source: 'github', now: clock.now() });
  await store.append(streams.inbound('int_1', id), [event], 'no-stream');
  return eventIdOf(id);
}
async function decide(): Promise<void> {
  await run(new DecideRules(store, clock, noWork, openBudget(store)));
  await run(new DecisionProjection());
}

describe('the name of a rule', () => {
  const takenBy = (id: string) => ({
    code: 'rule.name_taken',
    message: expect.stringContaining(id),
    problems: [expect.objectContaining({ pointer: '/name' })],
  });

  it('is no other rule’s, until that is archived or renamed', async () => {
    const { id } = await api().create(caller, pushes, reply);
    await expect(api().create(caller, { ...pushes, eventType: 'pr.*' }, reply)).rejects.toMatchObject(takenBy(id));
    const other = await api().create(caller, { ...pushes, name: 'other' }, reply);
    await expect(api().change(caller, other.id, { name: pushes.name }, reply)).rejects.toMatchObject(takenBy(id));
    await expect(api().replace(caller, other.id, pushes, reply)).rejects.toMatchObject(takenBy(id));
    await api().create(stranger, pushes, reply);
    await api().replace(caller, id, { ...pushes, description: 'same name' }, reply);
    await api().change(caller, id, { name: 'renamed' }, reply);
    await api().change(caller, other.id, { name: pushes.name }, reply);
    await api().archive(caller, other.id, reply);
    await api().create(caller, pushes, reply);
  });

  it('may hold what no column can', async () => {
    const nul = { ...pushes, name: 'a\u0000b \ud800' };
    const answers = await Promise.allSettled([1, 2].map(() => api().create(caller, nul, reply)));
    expect(answers.filter(({ status }) => status === 'fulfilled').length).toBeLessThan(2);
    for (const answer of answers)
      if (answer.status === 'rejected') expect(answer.reason).toMatchObject({ code: expect.stringMatching(/^rule\./) });
  });

  it('is given to one of those who ask for it at once', async () => {
    const one = api();
    const all = await Promise.allSettled(Array.from({ length: 10 }, () => one.create({ ...caller }, pushes, reply)));
    expect(all.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    const names = (await list()).data.map(({ name }) => name);
    expect(names).toEqual([pushes.name]);
  });
});

describe('rules by REST', () => {
  it('are created, read, changed, switched, listed and archived', async () => {
    const made = await api().create(caller, pushes, reply);
    expect(made).toMatchObject({
      ...pushes,
      eventSource: '*',
      enabled: true,
      status: 'enabled',
      version: 1,
      warnings: [],
    });
    expect(headers['etag']).toBe('"0"');
    const saved = await api().replace(caller, made.id, { ...pushes, name: 'other' }, reply, '"0"');
    expect(saved).toMatchObject({ name: 'other', version: 2, enabled: true });
    const patched = await api().change(caller, made.id, { description: 'why', enabled: false }, reply);
    expect(patched).toMatchObject({ name: 'other', description: 'why', version: 3, enabled: false });
    expect(await api().change(caller, made.id, { enabled: true }, reply)).toMatchObject({ version: 3, enabled: true });
    const versions = await api().versions(caller, made.id);
    expect(versions.data).toMatchObject([
      { version: 3 },
      { version: 2, name: 'other' },
      { version: 1, name: pushes.name },
    ]);
    expect((await list()).data.map(({ id }) => id)).toEqual([made.id]);
    await api().archive(caller, made.id, reply);
    expect((await list()).data).toEqual([]);
    expect((await list('archived')).data.map(({ id }) => id)).toEqual([made.id]);
    expect(await api().view(caller, made.id, reply)).toMatchObject({ status: 'archived', enabled: false });
  });

  it('lose a part that is changed to null', async () => {
    const made = await api().create(caller, pushes, reply);
    const throttle = { limit: 1, per: '1m' };
    expect(await api().change(caller, made.id, { throttle }, reply)).toMatchObject({ version: 2, throttle });
    const without = await api().change(caller, made.id, { throttle: null, enabled: null }, reply);
    expect(without).toMatchObject({ version: 3, enabled: true, conditions: expect.anything() });
    expect(without).not.toHaveProperty('throttle');
    await expect(api().change(caller, made.id, { name: null }, reply)).rejects.toMatchObject({
      problems: [{ pointer: '/name' }],
    });
  });

  it('come page by page', async () => {
    const ids = [];
    for (let i = 0; i < 5; i++) ids.push((await api().create(caller, { ...pushes, name: `n${i}` }, reply)).id);
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const page = await list(undefined, '2', cursor ?? undefined);
      seen.push(...page.data.map(({ id }) => id));
      cursor = page.nextCursor;
    } while (cursor !== null);
    expect(seen).toEqual(ids.sort());
    await expect(list(undefined, '0')).rejects.toMatchObject({ code: 'list.bad_limit' });
    await expect(list(undefined, undefined, 'x')).rejects.toMatchObject({ code: 'list.bad_cursor' });
  });

  it('are warned about when a field is written wrongly, and saved all the same', async () => {
    const conditions = { field: 'data.brnach', operator: 'equals', value: 'main' };
    const made = await api().create(caller, { ...pushes, conditions }, reply);
    expect(made.warnings).toMatchObject([
      { pointer: '/conditions/field', code: 'expression.unknown_field', column: 6 },
    ]);
    expect(made.warnings[0]!.message).toContain('Did you mean "branch"?');
  });

  it('that are wrong are not saved', async () => {
    await expect(
      api().create(caller, { ...pushes, conditions: { expression: "a == 'b" } }, reply),
    ).rejects.toMatchObject({
      kind: 'invalid',
      problems: [{ pointer: '/conditions/expression', detail: expect.stringMatching(/column 6/) }],
    });
    expect((await store.readAll({ limit: 10 })).events).toEqual([]);
  });

  it('refuse a change of what has changed in the meantime', async () => {
    const { id } = await api().create(caller, pushes, reply);
    await api().replace(caller, id, { ...pushes, name: 'faster' }, reply);
    await expect(api().replace(caller, id, pushes, reply, '"0"')).rejects.toMatchObject({ code: 'revision.changed' });
    await expect(api().change(caller, id, { name: 'x' }, reply, '"0"')).rejects.toMatchObject({
      code: 'revision.changed',
    });
    await expect(api().replace(caller, id, pushes, reply, 'W/"0"')).rejects.toMatchObject({ code: 'revision.changed' });
  });

  it('are unknown to other organisations', async () => {
    const { id } = await api().create(caller, pushes, reply);
    for (const attempt of [
      () => api().view(stranger, id, reply),
      () => api().versions(stranger, id),
      () => api().replace(stranger, id, pushes, reply),
      () => api().change(stranger, id, { enabled: false }, reply),
      () => api().archive(stranger, id, reply),
    ])
      await expect(attempt()).rejects.toMatchObject({ code: 'rule.not_found' });
    expect((await list(undefined, undefined, undefined, stranger)).data).toEqual([]);
  });
});

const decisions = () => {
  const sources = new DecisionSources();
  return new DecisionController(
    views.dataSource,
    new EventReader(views.dataSource, store, progress),
    sources,
    new RuleDecisions(views.dataSource, progress, sources),
  );
};

describe('decisions by REST', () => {
  it('answer why nothing ran, by event and by rule', async () => {
    const main = await api().create(caller, pushes, reply);
    const all = await api().create(caller, { ...pushes, name: 'all', conditions: { all: [] } }, reply);
    const first = await push({ branch: 'topic' });
    const second = await push({ branch: 'main' });
    await decide();
    const ofFirst = await decisions().ofEvent(caller, first);
    expect(ofFirst).toEqual({
      nextCursor: null,
      data: [
        {
          kind: 'rule',
          eventId: first,
          eventType: 'git.push',
          ruleId: main.id,
          ruleName: 'pushes to main',
          ruleVersion: 1,
          outcome: 'not_matched',
          failed: {
            pointer: '/conditions',
            condition: 'data.branch equals "main"',
            field: 'data.branch',
            actual: 'topic',
            expected: 'main',
          },
          actions: [],
          at: '2026-01-01T00:00:00.000Z',
        },
        expect.objectContaining({
          ruleId: all.id,
          outcome: 'matched',
          actions: [{ type: 'create_issue', requestId: expect.stringMatching(/^evt_/) }],
        }),
      ],
    });
    const ofMain = await decisions().ofRule(caller, main.id);
    expect(ofMain.data.map(({ eventId, outcome }) => [eventId, outcome])).toEqual([
      [second, 'matched'],
      [first, 'not_matched'],
    ]);
    expect((await decisions().ofRule(caller, main.id, 'matched')).data.map(({ eventId }) => eventId)).toEqual([second]);
    const page = await decisions().ofEvent(caller, first, '1');
    const rest = await decisions().ofEvent(caller, first, '1', page.nextCursor!);
    expect([...page.data, ...rest.data]).toEqual(ofFirst.data);
    const newest = await decisions().ofRule(caller, main.id, undefined, '1');
    expect((await decisions().ofRule(caller, main.id, undefined, '1', newest.nextCursor!)).data).toEqual([
      ofMain.data[1],
    ]);
  });

  it('are not shown to other organisations', async () => {
    const { id } = await api().create(caller, pushes, reply);
    const event = await push({ branch: 'main' });
    await decide();
    await expect(decisions().ofEvent(stranger, event)).rejects.toMatchObject({ code: 'event.not_found' });
    await expect(decisions().ofRule(stranger, id)).rejects.toMatchObject({ code: 'rule.not_found' });
  });

  it('are the same rows when they are built again', async () => {
    await api().create(
      caller,
      { ...pushes, conditions: { expression: Array(40).fill('[@, @][]').join(' | ') } },
      reply,
    );
    await api().create(
      caller,
      { ...pushes, name: 'another', conditions: { field: 'data.text', operator: 'equals', value: 'x' } },
      reply,
    );
    const event = await push({ branch: 'main', text: 'NUL \u0000 and half a pair \ud800' });
    await decide();
    const rows = async () => (await decisions().ofEvent(caller, event)).data;
    const before = await rows();
    expect(before).toMatchObject([
      { outcome: 'errored' },
      { outcome: 'not_matched', failed: { actual: 'NUL \u0000 and half a pair \ud800', expected: 'x' } },
    ]);
    follower.skipTo(followers.decisionViews, 0n);
    await run(new DecisionProjection(), true);
    await run(new DecisionProjection());
    expect(await rows()).toEqual(before);
    await views.dataSource.query(
      'truncate views.decisions, views.event_verdicts, views.rule_rolls, views.rule_roll_sets, views.rule_sets, views.rule_set_members',
    );
    follower.skipTo(followers.decisionViews, 0n);
    await run(new DecisionProjection());
    expect(await rows()).toEqual(before);
  });
});

describe('a throttle', () => {
  const outcomes = async (): Promise<readonly string[]> => {
    const reader = new RecordedDecisions();
    const { events } = await store.readAll({ limit: 10_000 });
    const read = events.flatMap((event) => reader.read(event));
    const order = new Map(events.map((event, place) => [eventIdOf(event.id), place]));
    return read
      .filter(({ ruleName }) => ruleName === 'throttled a')
      .sort((one, other) => order.get(one.eventId)! - order.get(other.eventId)!)
      .map(({ outcome }) => outcome);
  };
  const throttled = (throttle: object) =>
    api().create(caller, { ...pushes, name: 'throttled a', conditions: { all: [] }, throttle }, reply);

  it('lets through so many matches in a period for each key, and counts again in the next', async () => {
    await throttled({ key: '${{ data.host }}', limit: 2, per: '10m' });
    for (const host of ['a', 'b', 'a', 'a', 'b', 'b']) await push({ branch: 'main', host });
    await decide();
    expect(await outcomes()).toEqual(['matched', 'matched', 'matched', 'throttled', 'matched', 'throttled']);
    clock.advance(10 * 60_000 - 1);
    await push({ host: 'a' });
    clock.advance(1);
    await push({ host: 'a' });
    await decide();
    expect((await outcomes()).slice(6)).toEqual(['throttled', 'matched']);
    expect((await store.readAll({ limit: 100, filter: { types: ['issue.requested'] } })).events).toHaveLength(5);
  });

  it('gives the same answers after a crash, and remembers over a restart', async () => {
    await throttled({ limit: 1, per: '1h' });
    await push({});
    await push({});
    await run(new DecideRules(store, clock, noWork, openBudget(store)), true);
    await run(new DecideRules(store, clock, noWork, openBudget(store)), true);
    await decide();
    await push({});
    await decide();
    expect(await outcomes()).toEqual(['matched', 'throttled', 'throttled']);
    expect((await store.readAll({ limit: 100, filter: { types: ['rule.evaluated'] } })).events).toHaveLength(3);
  });

  it('counts what matched alone', async () => {
    await api().create(caller, { ...pushes, name: 'throttled a', throttle: { limit: 1, per: '1h' } }, reply);
    for (const branch of ['topic', 'main', 'topic', 'main']) await push({ branch });
    await decide();
    expect(await outcomes()).toEqual(['not_matched', 'matched', 'not_matched', 'throttled']);
  });

  it('takes any key, and forgets those whose time is over', async () => {
    await throttled({ key: '${{ data.key }}', limit: 1, per: '1m' });
    for (const key of ['x'.repeat(100_000), 'x'.repeat(100_000), 'a\u0000', 'a\u0000', null, { a: 1 }, '{"a":1}'])
      await push({ key });
    await decide();
    expect(await outcomes()).toEqual([
      'matched',
      'throttled',
      'matched',
      'throttled',
      'matched',
      'matched',
      // A text that looks like an object is none.
      'matched',
    ]);
    clock.advance(61_000);
    await push({ key: 'later' });
    await decide();
    expect(await views.dataSource.query('select key from views.rule_throttles')).toEqual([{ key: 'later' }]);
  });
});

describe('a rule that names an action of a plug-in', () => {
  it('is saved, asks for it, and shows the request among its decisions', async () => {
    const { id } = await api().create(caller, paging, reply);
    const eventId = await push({ branch: 'main' });
    await decide();
    const { events } = await store.readAll({ limit: 100 });
    const request = events.find(({ type }) => type === 'action.requested')!;
    expect(request.data).toMatchObject({
      requestedBy: { kind: 'rule', ruleId: id, ruleVersion: 1, index: 0 },
      eventId,
      action: 'page-on-call',
      input: { text: 'look at main' },
    });
    expect((await decisions().ofRule(caller, id)).data).toEqual([
      expect.objectContaining({
        outcome: 'matched',
        actions: [{ type: 'page-on-call', requestId: eventIdOf(request.id) }],
      }),
    ]);
  });

  it('is refused where no plug-in has it, also when it is changed, and goes on as it was', async () => {
    const { id } = await api().create(caller, paging, reply);
    const without = new RuleController(
      commands,
      views.dataSource,
      progress,
      new Plugins([]),
      new TokenTable(),
      vocabulary,
    );
    const refused = { code: 'rule.invalid', problems: [expect.objectContaining({ pointer: '/actions/0/type' })] };
    await expect(without.create(caller, paging, reply)).rejects.toMatchObject(refused);
    await expect(without.replace(caller, id, paging, reply)).rejects.toMatchObject(refused);
    await expect(without.change(caller, id, { name: 'other' }, reply)).rejects.toMatchObject(refused);
    await expect(without.change(caller, id, { enabled: true }, reply)).resolves.toMatchObject({ status: 'enabled' });
    await push({ branch: 'main' });
    await decide();
    const { events } = await store.readAll({ limit: 100 });
    expect(events.filter(({ type }) => type === 'action.requested')).toHaveLength(1);
  });
});

describe('trying a rule', () => {
  const trial = () =>
    new TrialController(new EventReader(views.dataSource, store, progress), clock, plugins, vocabulary);

  it('says what every condition saw, and shows the actions filled in, and does nothing', async () => {
    const answer = await trial().test(caller, {
      rule: pushes,
      event: { type: 'git.push', source: 'github', data: { branch: 'main' } },
    });
    expect(answer).toEqual({
      outcome: 'matched',
      trace: [
        {
          pointer: '/eventSource',
          condition: 'source is *',
          holds: true,
          field: 'source',
          actual: 'github',
          expected: '*',
        },
        {
          pointer: '/eventType',
          condition: 'type is git.push',
          holds: true,
          field: 'type',
          actual: 'git.push',
          expected: 'git.push',
        },
        {
          pointer: '/conditions',
          condition: 'data.branch equals "main"',
          holds: true,
          field: 'data.branch',
          actual: 'main',
          expected: 'main',
        },
      ],
      warnings: [],
      actions: [
        {
          type: 'create_issue',
          with: { title: 'look at main' },
          request: { type: 'issue.requested', data: expect.objectContaining({ title: 'look at main' }) },
        },
      ],
    });
    expect((await store.readAll({ limit: 10 })).events).toEqual([]);
  });

  it.each([
    [{ type: 'git.push', data: { branch: 'x' } }, 'not_matched', '/conditions'],
    [{ type: 'pr.opened', data: { branch: 'main' } }, 'not_matched', '/eventType'],
  ])('says which part of it %j fails', async (event, outcome, pointer) => {
    expect(await trial().test(caller, { rule: pushes, event })).toMatchObject({
      outcome,
      failed: { pointer },
      actions: [],
    });
  });

  it('shows the key that a throttle would count by, and counts nothing', async () => {
    const rule = { ...pushes, throttle: { key: '${{ data.host }}', limit: 1, per: '10m' } };
    const event = { type: 'git.push', data: { branch: 'main', host: 'db-1' } };
    for (let n = 0; n < 2; n++)
      expect(await trial().test(caller, { rule, event })).toMatchObject({
        outcome: 'matched',
        flow: { throttle: { key: 'db-1', limit: 1, per: '10m' } },
      });
    expect(await views.dataSource.query('select * from views.rule_throttles')).toEqual([]);
  });

  it('shows the action of a plug-in like any other', async () => {
    const event = { type: 'git.push', data: { branch: 'main' } };
    expect((await trial().test(caller, { rule: paging, event })).actions).toEqual([
      {
        type: 'page-on-call',
        with: { text: 'look at main' },
        request: {
          type: 'action.requested',
          data: expect.objectContaining({ action: 'page-on-call', input: { text: 'look at main' } }),
        },
      },
    ]);
    const rule = { ...paging, actions: [{ type: 'page-on-cal' }] };
    await expect(trial().test(caller, { rule, event })).rejects.toMatchObject({
      problems: [{ pointer: '/rule/actions/0/type', detail: expect.stringMatching(/Did you mean "page-on-call"/) }],
    });
  });

  it('finds an event that was recorded, in the own organisation alone', async () => {
    const eventId = await push({ branch: 'main' });
    await indexEvents(views.dataSource, store);
    expect(await trial().test(caller, { rule: pushes, eventId })).toMatchObject({ outcome: 'matched' });
    await expect(trial().test(stranger, { rule: pushes, eventId })).rejects.toMatchObject({ code: 'event.not_found' });
    await expect(trial().test(caller, { rule: pushes, eventId: 'evt_nonsense' })).rejects.toMatchObject({
      code: 'event.not_found',
    });
  });

  it.each<[object, string]>([
    [{ event: {} }, '/rule'],
    [{ rule: { ...pushes, conditions: { expression: '(' } }, event: {} }, '/rule/conditions/expression'],
    [{ rule: pushes }, ''],
    [{ rule: pushes, event: 5 }, '/event'],
    [{ rule: pushes, evnt: {} }, '/evnt'],
  ])('names what is wrong with %j', async (body, pointer) => {
    await expect(trial().test(caller, body)).rejects.toMatchObject({
      problems: expect.arrayContaining([expect.objectContaining({ pointer })]),
    });
  });
});
