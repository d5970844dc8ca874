import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance } from 'fastify';
import { DataSource } from 'typeorm';

import type { Caller } from '#libs/access/src/caller.js';
import { EventReader } from '#libs/event-index/src/event-reader.adapter.js';
import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { NamedSecretTable } from '#libs/access/src/named-secrets/named-secret.table.js';
import { OwnTypeTable } from '#libs/event-types/src/own-type.table.js';
import { VocabularyTable } from '#libs/vocabulary/src/vocabulary.table.js';
import { EventStore, type ReadAllOptions } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { Quarantine } from '#libs/event-store/src/runner/quarantine.table.js';
import { Progress } from '#libs/event-store/src/subscriber.js';
import { eventIdOf } from '#libs/events/src/envelope.js';
import { streams } from '#libs/events/src/streams.js';
import { SystemClock } from '#libs/kernel/src/clock.js';
import { Rejected, Transient } from '#libs/kernel/src/errors.js';
import { uuid7 } from '#libs/kernel/src/ids.js';
import { until, waitFor } from '#libs/kernel/testing/wait-for.js';
import { Plugins } from '#libs/plugin-sdk/src/loading/plugins.js';
import { inTransaction } from '#libs/persistence/src/transaction/in-transaction.adapter.js';

import { openBudget } from '../../../../event-index/testing/open-budget.js';
import { useViews } from '../../../../../test/support/views.js';
import { indexEvents } from '../../../../event-index/testing/index-events.js';
import { noWork } from '../../../../persistence/testing/no-work.js';
import { DecideRules } from '../../decisions/decide.subscriber.js';
import { DecisionProjection } from '../../decisions/decision.projection.js';
import { RecordedDecisions } from '../../decisions/recorded-decisions.js';
import { checkRule } from '../../language/definition.js';
import { RuleVersionView, RuleView } from '../../rule/rule.view.js';
import { MAX_BACKTESTS_OF_ONE } from './backtest-run.js';
import { BacktestController } from './backtest.controller.js';

/** A log that can be made to wait, so that a test is sure that a backtest is under way. */
class WaitingStore extends MemoryEventStore {
  reads = 0;
  gate: Promise<void> | undefined;
  broken: Error | undefined;
  override async readAll(options: ReadAllOptions) {
    this.reads++;
    if (this.broken) throw this.broken;
    // The first page comes at once, the others when they may.
    if (this.reads > 1) await this.gate;
    return super.readAll(options);
  }
}

const views = useViews({ entities: [RuleView, RuleVersionView] });
let store: WaitingStore;
let quarantine: Quarantine;
let application: NestFastifyApplication;
let url: string;
/** Whether the index is as far as the log. */
let fresh: boolean;

beforeEach(async () => {
  store = new WaitingStore();
  quarantine = new Quarantine();
  fresh = true;
  const progress: Progress = {
    whenProcessed: () => (fresh ? Promise.resolve() : Promise.reject(new Transient('subscriber.behind', 'behind'))),
  };
  const plugins = new Plugins([]);
  @Module({
    controllers: [BacktestController],
    providers: [
      { provide: EventStore, useFactory: () => store },
      { provide: DataSource, useFactory: () => views.dataSource },
      { provide: EventReader, useFactory: () => new EventReader(views.dataSource, store, progress) },
      { provide: Quarantine, useFactory: () => quarantine },
      { provide: Plugins, useValue: plugins },
      { provide: VocabularyTable, useValue: new VocabularyTable(new NamedSecretTable(), new OwnTypeTable(), plugins) },
    ],
  })
  class Only {}
  const adapter = new FastifyAdapter();
  const fastify = adapter.getInstance<FastifyInstance>();
  fastify.addHook('onRequest', (request, _, done) => {
    const caller: Caller = {
      orgId: String(request.headers['x-org'] ?? 'org_1'),
      actor: 'token/tok_1',
      tokenId: 'tok_1',
      roles: ['designer'],
    };
    Object.assign(request, { caller });
    done();
  });
  fastify.get('/ping', () => 'pong');
  application = await NestFactory.create<NestFastifyApplication>(Only, adapter, { logger: false });
  application.useGlobalFilters({
    catch: (error: unknown, host) => {
      const reply = host.switchToHttp().getResponse<{ status(n: number): { send(body: object): void } }>();
      if (error instanceof Rejected)
        reply.status(error.kind === 'rate_limited' ? 429 : 400).send({ code: error.code, problems: error.problems });
      else reply.status(500).send({ code: String(error) });
    },
  });
  await application.listen(0, '127.0.0.1');
  url = await application.getUrl();
});
afterEach(() => application.close());

async function push(
  count: number,
  make: (n: number) => { data?: object; orgId?: string; type?: string; time?: string; received?: string },
) {
  for (let n = 0; n < count; n++) {
    const {
      data = {},
      orgId = 'org_1',
      type = 'git.push',
      time = '2026-11-20T00:00:00.000Z',
      received = time,
    } = make(n);
    const id = uuid7();
    const event = newEvent(
      { type, data, timestamp: time },
      { id, orgId, actor: 'x', source: 'github', now: new Date(received) },
    );
    await store.append(streams.inbound('int_1', id), [event], 'no-stream');
  }
  await indexEvents(views.dataSource, store);
  store.reads = 0;
}

const draft = {
  name: 'pushes to main',
  eventType: 'git.push',
  conditions: { field: 'data.branch', operator: 'equals', value: 'main' },
  actions: [{ type: 'create_issue', with: { title: 'look' } }],
};

const post = (body: object, headers: Record<string, string> = {}, signal?: AbortSignal) =>
  fetch(`${url}/api/v1/rules/backtest`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
    ...(signal && { signal }),
  });
const backtest = async (body: object = { rule: draft }, headers: Record<string, string> = {}) => {
  const answer = await post(body, headers);
  return (await answer.json()) as Record<string, unknown>;
};
const stream = async (body: object) => {
  const answer = await post(body, { accept: 'application/x-ndjson' });
  expect(answer.headers.get('content-type')).toContain('application/x-ndjson');
  return (await answer.text())
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<'progress' | 'result' | 'error', Record<string, unknown> | undefined>);
};

const message = { integration: 'int_1', channel: '${{ data.channel }}', text: 'look' };

/** Lets the rules decide about everything that is in the log, and shows what they decided. */
async function decide(): Promise<void> {
  const { events } = await store.readAll({ limit: 10_000 });
  await views.dataSource.query('truncate views.decisions, views.rule_throttles');
  for (const [subscriber, given] of [
    [new DecideRules(store, new SystemClock(), noWork, openBudget(store)), () => Promise.resolve(events)],
    [new DecisionProjection(), async () => (await store.readAll({ limit: 10_000 })).events],
  ] as const) {
    const read = (await given()).filter(({ type }) => subscriber.reads === 'all' || type.startsWith('rule.'));
    await inTransaction(views.dataSource, (tx) =>
      subscriber.handle(read, { transaction: () => Promise.resolve(tx), signal: new AbortController().signal }),
    );
  }
}

/** Holds back every page but the first until it is opened. */
function closeGate(): () => void {
  let open = (): void => undefined;
  store.gate = new Promise((resolve) => (open = resolve));
  return open;
}

describe('a backtest by REST', () => {
  it('looks at the events of the own organisation alone, and does nothing', async () => {
    await push(6, (n) => ({ data: { branch: n < 4 ? 'main' : 'x' }, orgId: n % 2 === 0 ? 'org_1' : 'org_2' }));
    const answer = await backtest();
    expect(answer).toMatchObject({ scanned: 3, matched: 2, notMatched: 1, errored: 0, warnings: [] });
    expect(await backtest({ rule: draft }, { 'x-org': 'org_3' })).toMatchObject({ scanned: 0, samples: [] });
    expect(await store.head()).toBe(6n);
  });

  it('passes over events in quarantine', async () => {
    await push(3, () => ({ data: { branch: 'main' } }));
    const { events } = await store.readAll({ limit: 1 });
    const context = { id: uuid7(), orgId: 'org_1', actor: 'x', now: new Date() };
    const data = { eventId: eventIdOf(events[0]!.id), reason: 'a test' };
    await store.append('quarantine-1', [newEvent({ type: 'event.quarantined', data }, context)], 'no-stream');
    for (const event of await store.readStream('quarantine-1')) quarantine.apply(event);
    expect(await backtest()).toMatchObject({ scanned: 2, matched: 2 });
  });

  it('leaves out system types and what the engine says, unless they are named', async () => {
    const types = ['git.push', 'pr.opened', 'rule.evaluated', 'webhook.failed', 'acme.custom'];
    await push(types.length, (n) => ({ type: types[n]! }));
    const named = async (eventType: string) => {
      const { samples } = await backtest({ rule: { name: 'any', eventType } });
      return (samples as { type: string }[]).map(({ type }) => type);
    };
    expect(await named('*')).toEqual(['git.push', 'pr.opened', 'acme.custom']);
    expect(await named('rule.*')).toEqual(['rule.evaluated']);
    expect(await named('webhook.failed')).toEqual(['webhook.failed']);
    expect(await named('acme.*')).toEqual(['acme.custom']);
  });

  it.each([true, false])('takes times and positions as ends (index up to date: %s)', async (isFresh) => {
    // As of an import: what is received now happened long ago.
    await push(5, (n) => ({ time: `2019-11-2${n}T12:00:00.000Z`, received: `2026-11-2${n}T12:00:00.000Z` }));
    fresh = isFresh;
    const seen = async (range: object) => {
      const { samples } = await backtest({ rule: { ...draft, conditions: { all: [] } }, ...range });
      return (samples as { position: string }[]).map(({ position }) => Number(position));
    };
    expect(await seen({})).toEqual([1, 2, 3, 4, 5]);
    expect(await seen({ from: '2026-11-22' })).toEqual([3, 4, 5]);
    expect(await seen({ from: '2026-11-21T12:00:00Z', to: '2026-11-23T12:00:00Z' })).toEqual([2, 3]);
    expect(await seen({ from: 2, to: '4' })).toEqual([2, 3, 4]);
    expect(await seen({ from: '2027-01-01' })).toEqual([]);
    expect(await seen({ to: '2020-01-01' })).toEqual([]);
    expect(await seen({ to: '2019-11-22', by: 'timestamp' })).toEqual([1, 2]);
    expect(await seen({ from: '2026-11-22', by: 'timestamp' })).toEqual([]);
  });

  it('sees what the index does not have yet', async () => {
    await push(2, () => ({ data: { branch: 'main' } }));
    fresh = false;
    await views.dataSource.query('delete from views.events where position = 2');
    expect(await backtest()).toMatchObject({ scanned: 2, matched: 2 });
    await views.dataSource.query('truncate views.events');
    expect(await backtest()).toMatchObject({ scanned: 2 });
  });

  it('compares with the version in force, and with one that was saved before', async () => {
    await push(4, (n) => ({ data: { branch: ['main', 'next', 'trunk', 'x'][n] } }));
    const version = (value: string) => ({ ...draft, eventSource: '*', conditions: { ...draft.conditions, value } });
    await views.dataSource.query(
      `insert into views.rules (id, org_id, name, version, status, definition, revision, created_at, updated_at)
       values ('rul_1', 'org_1', 'r', 2, 'disabled', $1, 1, now(), now())`,
      [JSON.stringify(version('trunk'))],
    );
    await views.dataSource.query(
      `insert into views.rule_versions (rule_id, version, org_id, definition, saved_by, saved_at)
       values ('rul_1', 1, 'org_1', $1, 'x', now())`,
      [JSON.stringify(version('next'))],
    );
    const difference = async (compareTo: unknown) => (await backtest({ rule: draft, compareTo }))['difference'];
    expect(await difference('rul_1')).toMatchObject({
      ruleId: 'rul_1',
      version: 2,
      both: 0,
      onlyDraft: { count: 1, samples: [{ position: '1' }] },
      onlyOther: { count: 1, samples: [{ position: '3' }] },
    });
    expect(await difference({ ruleId: 'rul_1', version: 1 })).toMatchObject({
      version: 1,
      onlyOther: { samples: [{ position: '2' }] },
    });
    const unknown = (compareTo: unknown, org = 'org_1') => backtest({ rule: draft, compareTo }, { 'x-org': org });
    expect(await unknown('rul_2')).toMatchObject({ code: 'rule.not_found' });
    expect(await unknown({ ruleId: 'rul_1', version: 7 })).toMatchObject({ code: 'rule.version_not_found' });
    expect(await unknown('rul_1', 'org_2')).toMatchObject({ code: 'rule.not_found' });
    expect(await unknown({ ruleId: 'rul_1', version: 1 }, 'org_2')).toMatchObject({ code: 'rule.not_found' });
  });

  it('compares with a rule about other types over the events of both', async () => {
    await push(2, (n) => ({ type: n === 0 ? 'git.push' : 'git.tag_pushed', data: { branch: 'main' } }));
    await views.dataSource.query(
      `insert into views.rules (id, org_id, name, version, status, definition, revision, created_at, updated_at)
       values ('rul_1', 'org_1', 'r', 1, 'enabled', $1, 0, now(), now())`,
      [JSON.stringify({ name: 'tags', eventSource: '*', eventType: 'git.tag_pushed', actions: [] })],
    );
    expect(await backtest({ rule: draft, compareTo: 'rul_1' })).toMatchObject({
      scanned: 2,
      matched: 1,
      notNamed: 1,
      difference: { onlyDraft: { count: 1 }, onlyOther: { count: 1 } },
    });
  });

  it('warns about a field that is written wrongly', async () => {
    const rule = { ...draft, conditions: { ...draft.conditions, field: 'data.brnach' } };
    expect(await backtest({ rule })).toMatchObject({
      warnings: [{ pointer: '/conditions/field', column: 6, code: 'expression.unknown_field' }],
    });
  });

  it('agrees with what was decided when the events came', async () => {
    const rule = { ...draft, throttle: { key: '${{ data.host }}', limit: 2, per: '1h' } };
    const { definition } = checkRule({
      ...rule,
      actions: [{ type: 'send_message', with: { ...message, integration: '${{ data.channel }}' } }],
    });
    const created = newEvent(
      { type: 'rule.created', data: { ruleId: 'rul_1', version: 1, enabled: true, definition } },
      { id: uuid7(), orgId: 'org_1', actor: 'x', now: new Date() },
    );
    await store.append(streams.rule('rul_1'), [created], 'no-stream');
    await push(60, (n) => ({
      data: { branch: n % 4 === 0 ? 'topic' : 'main', host: `h${n % 7}`, ...(n % 5 !== 0 && { channel: 'ops' }) },
      ...(n % 6 === 0 && { orgId: 'org_2' }),
    }));
    await decide();
    const reader = new RecordedDecisions();
    const { events } = await store.readAll({ limit: 10_000 });
    const decided: Record<string, number> = {};
    for (const { outcome } of events.flatMap((event) => reader.read(event)))
      decided[outcome] = (decided[outcome] ?? 0) + 1;
    const answer = await backtest({ rule: definition });
    expect(answer).toMatchObject({
      scanned: 50,
      matched: decided['matched'],
      notMatched: decided['not_matched'],
      throttled: decided['throttled'],
      errored: decided['errored'],
    });
    expect(Object.keys(decided).sort()).toEqual(['errored', 'matched', 'not_matched', 'throttled']);
  });

  it('tells line by line how far it is', async () => {
    await push(700, () => ({ data: { branch: 'main' } }));
    const lines = await stream({ rule: draft });
    expect(lines.at(-1)).toMatchObject({ result: { scanned: 700, matched: 700 } });
    expect(lines.at(-2)).toMatchObject({ progress: { scanned: 700, total: 700, percent: 100 } });
    expect(lines.slice(0, -1).every(({ progress }) => progress !== undefined)).toBe(true);
  });

  it('says in a line what went wrong once the answer has begun', async () => {
    await push(1, () => ({}));
    store.broken = new Transient('log.unavailable', 'secret host gone');
    const [line, ...more] = await stream({ rule: draft });
    expect(more).toEqual([]);
    expect(line).toEqual({ error: { code: 'log.unavailable', detail: expect.stringMatching(/again/) } });
  });

  it.each(['application/json', 'application/x-ndjson'])(
    'ends at once when the client of %s goes away',
    async (accept) => {
      await push(2_000, () => ({}));
      const open = closeGate();
      const aborter = new AbortController();
      const gone = Array.from({ length: MAX_BACKTESTS_OF_ONE }, () =>
        post({ rule: draft }, { accept }, aborter.signal)
          .then((answer) => answer.text())
          .catch(() => 'gone'),
      );
      await until(() => store.reads > MAX_BACKTESTS_OF_ONE);
      const nothing = () => post({ rule: draft, to: '2000-01-01' });
      expect((await nothing()).status).toBe(429);
      aborter.abort();
      expect(await Promise.all(gone)).toEqual(gone.map(() => 'gone'));
      // The slots are free again although the page that each waits for has not come, and no other page is read.
      await until(async () => (await nothing()).status !== 429);
      const { reads } = store;
      open();
      expect((await nothing()).status).toBe(200);
      expect(store.reads).toBe(reads);
    },
  );

  it('lets other requests be answered meanwhile, and no more backtests than it can bear', async () => {
    await push(1_000, () => ({}));
    const open = closeGate();
    const answers = Array.from({ length: MAX_BACKTESTS_OF_ONE }, () => post({ rule: draft }));
    await until(() => store.reads >= 2);
    expect(await (await fetch(`${url}/ping`)).text()).toBe('pong');
    const refused = await waitFor('the refusal', async () => {
      const answer = await post({ rule: draft });
      return answer.status === 429 && answer;
    });
    expect(await refused.json()).toMatchObject({ code: 'backtest.busy' });
    open();
    for (const answer of await Promise.all(answers)) expect(await answer.json()).toMatchObject({ scanned: 1_000 });
    expect((await post({ rule: draft })).status).toBe(200);
  });

  it('answers other requests promptly while a large one is at work', async () => {
    await push(8_000, () => ({ data: { branch: 'x', commits: Array.from({ length: 50 }, (_, n) => ({ id: n })) } }));
    const busy = { ...draft, conditions: { expression: 'length(data.commits[?id > `10`].id) > `100`' } };
    let isOver = false;
    const answer = backtest({ rule: busy }).finally(() => (isOver = true));
    let answered = 0;
    for (; !isOver; answered++) await (await fetch(`${url}/ping`)).text();
    expect(await answer).toMatchObject({ scanned: 8_000, notMatched: 8_000 });
    // One or two, if the backtest kept the thread to itself.
    expect(answered).toBeGreaterThan(5);
  });
});
