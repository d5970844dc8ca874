import type { DataOf } from '#libs/events/src/catalogue.js';
import { beforeEach, describe, expect, it, jest } from '@jest/globals';

import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import {
  type EventToAppend,
  type ExpectedRevision,
  platformEvent,
  RecordedEvent,
} from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import type { SubscriberContext } from '#libs/event-store/src/subscriber.js';
import { type Cause, eventIdOf, MAX_HOPS } from '#libs/events/src/envelope.js';
import type { RuleDefinition } from '#libs/events/src/shapes/rule-shape.js';
import { streams } from '#libs/events/src/streams.js';
import { FixedClock } from '#libs/kernel/src/clock.js';
import { Transient } from '#libs/kernel/src/errors.js';
import { uuid7 } from '#libs/kernel/src/ids.js';

import { openBudget } from '../../../event-index/testing/open-budget.js';
import { noWork } from '../../../persistence/testing/no-work.js';
import { checkRule } from '../language/definition.js';
import { Backtest } from '../trial/backtest/backtest.js';
import { tryOut } from '../trial/trial.js';
import { DecideRules } from './decide.subscriber.js';
import { type RecordedDecision, RecordedDecisions } from './recorded-decisions.js';

/** A log whose next append fails, before or after it was done. */
class FlakyEventStore extends MemoryEventStore {
  fail: 'before' | 'after' | undefined;
  failAt = 1;
  override async append(stream: string, events: readonly EventToAppend[], expected: ExpectedRevision) {
    const fails = this.fail !== undefined && --this.failAt === 0;
    if (fails && this.fail === 'before') throw new Transient('log.unavailable', 'gone');
    const result = await super.append(stream, events, expected);
    if (fails) throw new Transient('log.unavailable', 'gone');
    return result;
  }
}

const noTransaction: SubscriberContext = {
  signal: new AbortController().signal,
  transaction: () => Promise.reject(new Error('nothing here needs the database')),
};

let store: FlakyEventStore;
let subscriber: DecideRules;
let checkpoint: bigint;

beforeEach(() => {
  store = new FlakyEventStore();
  subscriber = new DecideRules(store, new FixedClock(), noWork, openBudget(store));
  checkpoint = 0n;
});

/** Handles what is new, as the runner does, until nothing is; what fails is handled again from a primed table. */
async function run(rounds = 100, size = 500): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    const { events } = await store.readAll({ from: checkpoint + 1n, limit: size });
    if (events.length === 0) return;
    await subscriber.handle(events, noTransaction);
    checkpoint = events.at(-1)!.position;
  }
}

/** Handles everything again, as after the views were removed, and tells how many appends that took. */
async function replayed(isKnown: (id: string) => boolean): Promise<number> {
  const { events } = await store.readAll({ limit: 10_000 });
  const again = new DecideRules(store, new FixedClock(), noWork, openBudget(store));
  const append = jest.spyOn(store, 'append');
  await again.handle(events, { ...noTransaction, isKnown });
  const { length } = append.mock.calls;
  append.mockRestore();
  return length;
}

/** As after a crash: another instance, whose table is primed up to the checkpoint. */
async function restart(): Promise<void> {
  subscriber = new DecideRules(store, new FixedClock('2027-01-01T00:00:00Z'), noWork, openBudget(store));
  const { events } = await store.readAll({ limit: 10_000 });
  for (const event of events) if (event.position <= checkpoint) subscriber.tables[0]!.apply(event);
}

async function happened(
  type: string,
  data: object,
  more: { orgId?: string; source?: string; cause?: Cause; stream?: string } = {},
): Promise<string> {
  const id = uuid7();
  const { orgId = 'org_1', source = 'github', stream = `test-${id}`, cause } = more;
  const event = newEvent(
    { type, data },
    { id, orgId, actor: 'test', now: new Date(), source, ...(cause && { cause }) },
  );
  await store.append(stream, [event], 'any');
  return eventIdOf(id);
}

const rules = { next: 0 };
async function aRule(
  given: Partial<RuleDefinition> = {},
  more: { orgId?: string; enabled?: boolean } = {},
): Promise<string> {
  const ruleId = `rul_${++rules.next}`;
  const definition = { name: ruleId, eventSource: '*', eventType: 'git.push', actions: [], ...given };
  const data = { ruleId, version: 1, enabled: more.enabled ?? true, definition };
  await happened('rule.created', data, {
    orgId: more.orgId ?? 'org_1',
    source: 'millrace',
    stream: streams.rule(ruleId),
  });
  return ruleId;
}
const push = (branch = 'main', more = {}) => happened('git.push', { branch }, more);
const onMain = { conditions: { field: 'data.branch', operator: 'equals', value: 'main' } };
const webhook = { type: 'send_webhook', with: { webhook: 'whk_1' } };

async function recorded(type?: string): Promise<readonly RecordedEvent[]> {
  const { events } = await store.readAll({ limit: 10_000 });
  return events.filter((event) => streams.isDecisions(event.stream) && (type === undefined || event.type === type));
}
/** Every verdict in the log, the older rule first. */
async function decisions(): Promise<readonly RecordedDecision[]> {
  const reader = new RecordedDecisions();
  const found: RecordedDecision[] = [];
  let after: bigint | undefined;
  for (;;) {
    const page = await store.readAll({ limit: 1_000, ...(after !== undefined && { after }) });
    for (const event of page.events) found.push(...reader.read(event).toSorted((a, b) => orderOf(a) - orderOf(b)));
    if (page.end) return found;
    after = page.position;
  }
}
const orderOf = ({ ruleId }: RecordedDecision): number => Number(ruleId.split('_')[1]);

describe('a rule that matches', () => {
  it('is recorded with its verdict and its request in one stream, named after the event', async () => {
    const ruleId = await aRule({ ...onMain, actions: [webhook] });
    const eventId = await push();
    await run();
    const [evaluated, requested, ...more] = await recorded();
    expect(more).toEqual([]);
    expect(evaluated!.stream).toBe(requested!.stream);
    expect(evaluated!.data).toEqual({
      eventId,
      eventType: 'git.push',
      decisions: [
        {
          ruleId,
          ruleName: ruleId,
          ruleVersion: 1,
          outcome: 'matched',
          actions: [{ type: 'send_webhook', requestId: eventIdOf(requested!.id) }],
        },
      ],
      asked: [expect.any(String)],
      failed: [],
    });
    expect(requested!.type).toBe('webhook.requested');
    expect(requested!.data).toEqual({
      requestedBy: { kind: 'rule', ruleId, ruleVersion: 1, index: 0 },
      eventId,
      event: { stream: expect.stringMatching(/^test-/), revision: '0' },
      webhookId: 'whk_1',
    });
  });

  it('passes on the story of the event: correlation, cause, hop, organisation', async () => {
    await aRule({ actions: [webhook] });
    await push('main', { cause: { $correlationId: 'story', $causationId: 'before', hop: 3 } });
    await run();
    const { events } = await store.readAll({ limit: 100, filter: { types: ['git.push'] } });
    for (const event of await recorded())
      expect(event.metadata).toMatchObject({
        $correlationId: 'story',
        $causationId: events[0]!.id,
        hop: 4,
        orgId: 'org_1',
      });
  });

  it('asks for each of its actions, filled in, in order', async () => {
    await aRule({
      name: 'all of them',
      actions: [
        {
          type: 'send_webhook',
          with: { url: 'https://example.com/${{ data.branch }}', payload: { n: '${{ data.n }}' } },
        },
        {
          type: 'create_issue',
          with: {
            title: 'on ${{ data.branch }}',
            labels: ['a', '${{ data.branch }}'],
            priority: '${{ data.missing }}',
          },
        },
        { type: 'create_issue', with: { title: '${{ data.missing }}', dedupeKey: '${{ data.n }}' } },
        { type: 'dispatch_workflow', with: { workflow: 'deploy', inputs: { event: '${{ data }}' } } },
        { type: 'dispatch_agent', with: { agent: 'triage', input: '${{ data.n }}' } },
        {
          type: 'send_message',
          with: { integration: 'int_1', channel: '#ops', text: '${{ data.n }} on ${{ data.branch }}' },
        },
      ],
    });
    await happened('git.push', { branch: 'main', n: 7 });
    await run();
    const requests = (await recorded()).slice(1);
    const asked = requests.map(({ type, data }) => {
      const { requestedBy: _, eventId: __, event: ___, ...rest } = data as Record<string, unknown>;
      return [type, rest];
    });
    expect(asked).toEqual([
      ['webhook.requested', { url: 'https://example.com/main', payload: { n: 7 } }],
      ['issue.requested', { title: 'on main', labels: ['a', 'main'] }],
      // An alert without a text is still an alert: it is called as its rule is.
      ['issue.requested', { title: 'all of them', dedupeKey: '7' }],
      ['workflow.requested', { workflow: 'deploy', inputs: { event: { branch: 'main', n: 7 } } }],
      ['agent.requested', { agent: 'triage', input: 7 }],
      ['message.requested', { integration: 'int_1', channel: '#ops', text: '7 on main' }],
    ]);
  });
});

describe('a rule that does not match', () => {
  it('says which condition failed and what it saw', async () => {
    await aRule({ ...onMain, actions: [webhook] });
    await push('topic');
    await run();
    expect((await decisions())[0]).toMatchObject({
      outcome: 'not_matched',
      failed: {
        pointer: '/conditions',
        condition: 'data.branch equals "main"',
        field: 'data.branch',
        actual: 'topic',
        expected: 'main',
      },
      actions: [],
    });
    expect(await recorded()).toEqual([]);
  });

  it('shares a record with others, on as many events as come together', async () => {
    for (let i = 0; i < 200; i++) await aRule({ ...onMain, actions: [webhook] });
    const events: string[] = [];
    for (let i = 0; i < 100; i++) events.push(await push('topic'));
    await run();
    const { events: all } = await store.readAll({ limit: 1_000, filter: { types: ['rule.none_matched'] } });
    expect(all.length).toBeLessThanOrEqual(3);
    expect(Buffer.byteLength(all.map(({ dataJson }) => dataJson).join(''))).toBeLessThan(100 * 200);
    const found = await decisions();
    expect(found).toHaveLength(100 * 200);
    expect(new Set(found.map(({ eventId, ruleId }) => `${eventId} ${ruleId}`)).size).toBe(100 * 200);
    expect(new Set(found.map(({ eventId }) => eventId))).toEqual(new Set(events));
    expect(new Set(found.map(({ failed }) => JSON.stringify(failed))).size).toBe(1);
  });

  it.each([
    ['another type', { eventType: 'pr.opened' }],
    ['another source', { eventSource: 'gitlab' }],
    ['a glob of other types', { eventType: 'pr.*' }],
  ])('leaves no decision if it names %s', async (_, filter) => {
    await aRule(filter);
    await push();
    await run();
    expect(await recorded()).toEqual([]);
  });

  it.each([
    ['its type', { eventType: 'git.push', eventSource: 'github' }],
    ['globs', { eventType: 'git.*', eventSource: 'git*' }],
    ['everything', { eventType: '*', eventSource: '*' }],
  ])('leaves a decision if it names %s', async (_, filter) => {
    await aRule(filter);
    await push();
    await run();
    expect(await decisions()).toHaveLength(1);
  });

  it('is not even asked about an event of a type that no rule names', async () => {
    await aRule();
    await run();
    const unreadable = new RecordedEvent('s', 0n, 99n, uuid7(), 'pr.opened', new Date(), 'not json', 'not json');
    await expect(subscriber.handle([unreadable], noTransaction)).resolves.toBeUndefined();
  });
});

describe('a rule and the order of the log', () => {
  const change = (type: string, ruleId: string, data: object = {}) =>
    happened(type, { ruleId, ...data }, { source: 'millrace', stream: streams.rule(ruleId) });

  it('looks at no event from before it was created', async () => {
    await push();
    await aRule();
    const later = await push();
    await run();
    expect((await decisions()).map(({ eventId }) => eventId)).toEqual([later]);
  });

  it.each<[string, (id: string) => Promise<unknown>, boolean]>([
    ['created', async () => undefined, true],
    ['disabled', (id) => change('rule.disabled', id), false],
    ['disabled and enabled', (id) => change('rule.disabled', id).then(() => change('rule.enabled', id)), true],
    ['archived', (id) => change('rule.archived', id), false],
    [
      'archived and then enabled by an old event',
      (id) => change('rule.archived', id).then(() => change('rule.enabled', id)),
      false,
    ],
  ])(
    'that was %s decides about later events accordingly, also in one batch and after a restart',
    async (_, after, decides) => {
      const ruleId = await aRule();
      const first = await push();
      await after(ruleId);
      const second = await push();
      await run();
      const wanted = decides ? [first, second] : [first];
      expect((await decisions()).map(({ eventId }) => eventId)).toEqual(wanted);
      await restart();
      const third = await push();
      await run();
      expect((await decisions()).map(({ eventId }) => eventId)).toEqual(decides ? [...wanted, third] : wanted);
    },
  );

  it('that was created disabled decides nothing until it is enabled', async () => {
    const ruleId = await aRule({}, { enabled: false });
    await push();
    await change('rule.enabled', ruleId);
    const second = await push();
    await run();
    expect((await decisions()).map(({ eventId }) => eventId)).toEqual([second]);
  });

  it('that was updated decides by the version of the moment', async () => {
    const ruleId = await aRule(onMain);
    await push('topic');
    const definition = { name: 'new name', eventSource: '*', eventType: 'git.push', actions: [] };
    await change('rule.updated', ruleId, { version: 2, definition });
    await push('topic');
    await run();
    const found = (await decisions()).map(({ outcome, ruleVersion, ruleName }) => [outcome, ruleVersion, ruleName]);
    expect(new Set(found)).toEqual(
      new Set([
        ['not_matched', 1, ruleId],
        ['matched', 2, 'new name'],
      ]),
    );
  });
});

describe('deciding again', () => {
  it('appends nothing for an event whose last request is known to be in the log', async () => {
    await aRule({ ...onMain, actions: [webhook] });
    await aRule({ ...onMain, actions: [webhook, webhook] });
    await push();
    await push();
    await run();
    const requests = (await recorded('webhook.requested')).map(({ id }) => id);
    const nothing = await replayed(() => false);
    expect(nothing - (await replayed((id) => requests.includes(id)))).toBe(2);
    // A process that died between two appends has recorded the first requests alone.
    const [first, second] = requests;
    expect(await replayed((id) => id === first || id === second)).toBe(nothing);
  });

  it('after a crash before the checkpoint changes nothing', async () => {
    await aRule({ actions: [webhook, webhook] });
    for (let i = 0; i < 20; i++) await push();
    await run();
    const before = (await recorded()).map(({ id, stream, type }) => [id, stream, type]);
    checkpoint = 0n;
    await restart();
    await run();
    expect((await recorded()).map(({ id, stream, type }) => [id, stream, type])).toEqual(before);
  });

  it.each([1, 3, 7, 10, 500])(
    'after a crash, with the log read %i events at a time, records no verdict of a quiet event twice',
    async (size) => {
      await aRule(onMain);
      for (let i = 0; i < 20; i++)
        await push(i % 4 === 0 ? 'main' : 'topic', { orgId: i % 5 === 4 ? 'org_2' : 'org_1' });
      await aRule(onMain, { orgId: 'org_2' });
      await push('topic', { orgId: 'org_2' });
      await run();
      const before = await decisions();
      expect(before).toHaveLength(17);
      for (const from of [0n, 5n, 8n, 13n]) {
        checkpoint = from;
        await restart();
        await run(100, size);
      }
      expect(await decisions()).toEqual(before);
    },
  );

  it('by an instance that was thought to be gone records no verdict of a quiet event twice', async () => {
    await aRule(onMain);
    for (let i = 0; i < 10; i++) await push('topic');
    const { events } = await store.readAll({ limit: 100 });
    const [other, ours] = [new DecideRules(store, new FixedClock(), noWork, openBudget(store)), subscriber];
    await ours.handle(events.slice(0, 4), noTransaction);
    await other.handle(events.slice(0, 6), noTransaction);
    await ours.handle(events.slice(4, 9), noTransaction);
    await other.handle(events.slice(6), noTransaction);
    await ours.handle(events.slice(9), noTransaction);
    expect((await decisions()).map(({ eventId }) => eventId)).toEqual(events.slice(1).map(({ id }) => eventIdOf(id)));
  });

  it('about an event that was put off, when later ones are recorded, records it once', async () => {
    await aRule(onMain);
    for (let i = 0; i < 6; i++) await push('topic');
    const { events } = await store.readAll({ limit: 100 });
    await subscriber.handle(events.slice(0, 3), noTransaction);
    await subscriber.handle(events.slice(4), noTransaction);
    for (const event of [events[3]!, events[1]!, events[3]!]) await subscriber.handle([event], noTransaction);
    const found = (await decisions()).map(({ eventId }) => eventId);
    expect(found.toSorted()).toEqual(
      events
        .slice(1)
        .map(({ id }) => eventIdOf(id))
        .toSorted(),
    );
  });

  it.each(['before', 'after'] as const)(
    'after an append that failed %s it was done leaves each event decided once',
    async (fail) => {
      await aRule({ actions: [webhook] });
      for (let i = 0; i < 10; i++) await push();
      store.fail = fail;
      store.failAt = 5;
      await expect(run()).rejects.toThrow(Transient);
      store.fail = undefined;
      await restart();
      await run();
      expect(await recorded('rule.evaluated')).toHaveLength(10);
      expect(await recorded('webhook.requested')).toHaveLength(10);
    },
  );

  it('with rules that are other ones now lets stand what was recorded', async () => {
    await aRule(onMain);
    await push('main');
    await run();
    const before = await decisions();
    const { events } = await store.readAll({ limit: 100, filter: { types: ['git.push'] } });
    const other = new DecideRules(store, new FixedClock(), noWork, openBudget(store));
    const created = await aRule({ name: 'other' });
    const { events: all } = await store.readAll({ limit: 100 });
    for (const event of all.filter(({ stream }) => stream === streams.rule(created))) other.tables[0]!.apply(event);
    await other.handle(events, noTransaction);
    expect(await decisions()).toEqual(before);
  });
});

describe('organisations', () => {
  it('see only their own events', async () => {
    const mine = await aRule({}, { orgId: 'org_1' });
    const theirs = await aRule({}, { orgId: 'org_2' });
    await push('main', { orgId: 'org_1' });
    await push('main', { orgId: 'org_2' });
    await push('main', { orgId: 'org_3' });
    await run();
    expect((await decisions()).map(({ ruleId }) => ruleId)).toEqual([mine, theirs]);
    expect((await recorded()).map(({ metadata }) => metadata.orgId)).toEqual(['org_1', 'org_2']);
  });
});

describe('a batch that takes long', () => {
  it('lets everything else have its turn between events, and asks the rules in force at each of them', async () => {
    const before = await push();
    await aRule(onMain);
    const after = await Promise.all(Array.from({ length: 20 }, () => push()));
    let now = 0;
    const clock = jest.spyOn(performance, 'now').mockImplementation(() => (now += 10));
    let turns = 0;
    const count = (): void => {
      turns++;
      next = setImmediate(count);
    };
    let next = setImmediate(count);
    try {
      await run();
    } finally {
      clearImmediate(next);
      clock.mockRestore();
    }
    expect(turns).toBeGreaterThanOrEqual(after.length);
    const asked = (await decisions()).map(({ eventId }) => eventId);
    expect(asked).not.toContain(before);
    expect(asked.toSorted()).toEqual(after.toSorted());
  });
});

describe('an error in one rule', () => {
  it('is its verdict and touches no other rule', async () => {
    const costly = Array(40).fill('[@, @][]').join(' | ');
    await aRule({ name: 'first', actions: [webhook] });
    await aRule({ name: 'costly', conditions: { expression: costly }, actions: [webhook] });
    await aRule({
      name: 'unfit',
      actions: [webhook, { type: 'dispatch_workflow', with: { workflow: 'x', inputs: '${{ data.branch }}' } }],
    });
    await aRule({ name: 'no longer valid', conditions: { field: 'a', operator: 'was once known', value: 1 } });
    await aRule({ name: 'last', actions: [webhook] });
    await push();
    await run();
    const found = await decisions();
    expect(found.map(({ ruleName, outcome }) => [ruleName, outcome])).toEqual([
      ['first', 'matched'],
      ['costly', 'errored'],
      ['unfit', 'errored'],
      ['no longer valid', 'errored'],
      ['last', 'matched'],
    ]);
    expect(found[1]!.error).toMatch(/steps/);
    expect(found[2]!.error).toMatch(/"inputs" must be an object/);
    expect(found[3]!.error).toMatch(/save it again/);
    // All actions of a rule or none.
    expect(await recorded('webhook.requested')).toHaveLength(2);
  });
});

describe('filling in what a rule asks for', () => {
  /** About 65,000 steps: twice is more than a rule may take. */
  const heavy = `length(${Array(14).fill('[@, @][]').join(' | ')})`;
  const issue = { type: 'create_issue', with: { title: `\${{ ${heavy} }}` } };
  const throttle = { limit: 5, per: '1m', key: `\${{ ${heavy} }}` };
  const burst = { quiet: '1m', key: `\${{ ${heavy} }}` };
  it.each<[string, Partial<RuleDefinition>, string]>([
    ['one action', { actions: [issue] }, 'matched'],
    ['one action, after a condition as heavy', { conditions: { expression: heavy }, actions: [issue] }, 'matched'],
    ['two actions', { actions: [issue, issue] }, 'errored'],
    ['a key, after a condition as heavy', { conditions: { expression: heavy }, throttle }, 'errored'],
    ['two keys', { throttle, once: burst }, 'errored'],
  ])('is paid for together, and so with %s', async (_, given, outcome) => {
    await aRule(given);
    await push();
    await run();
    const [decision] = await decisions();
    expect(decision).toMatchObject({
      outcome,
      ...(outcome === 'errored' && { error: expect.stringMatching(/steps/) }),
    });
    expect(await recorded('issue.requested')).toHaveLength(outcome === 'matched' ? 1 : 0);

    const { compiled, definition } = checkRule({ name: 'x', eventType: 'git.push', ...given });
    const [event] = (await store.readAll({ limit: 1, filter: { types: ['git.push'] } })).events;
    expect(tryOut({ compiled, definition, enabled: true }, platformEvent(event!)).outcome).toBe(outcome);
    const backtest = new Backtest(compiled);
    backtest.look(event!);
    backtest.finish();
    expect(backtest.report()).toMatchObject({ [outcome]: 1 });
  });
});

describe('loops', () => {
  it('are not begun by a rule that listens to everything', async () => {
    await aRule({ eventType: '*', actions: [webhook] });
    await push();
    await run();
    expect(await recorded()).toHaveLength(2);
  });

  it('end at once when a rule listens to its own outcome: the decision says so, and what it does not act on', async () => {
    const ruleId = await aRule({ eventType: 'webhook.requested', actions: [webhook, webhook] });
    const first = await aRule({ actions: [webhook] });
    await push();
    await run();
    const requests = await recorded('webhook.requested');
    expect(requests.map(({ metadata }) => metadata.causedBy)).toEqual([[first], [first, ruleId], [first, ruleId]]);
    const refused = await recorded('action.refused');
    expect(refused).toHaveLength(4);
    for (const { data } of refused) expect(data).toMatchObject({ reason: 'follows-from-itself' });
    expect((await decisions()).at(-1)).toMatchObject({
      ruleId,
      outcome: 'matched',
      actions: [{ refused: 'follows-from-itself' }, { refused: 'follows-from-itself' }],
    });
  });

  it('of two rules end once each has acted on the other', async () => {
    const issue = { type: 'create_issue', with: { title: 'x' } };
    await aRule({ eventType: 'issue.requested', actions: [issue] });
    await aRule({ eventType: 'issue.*', actions: [issue] });
    await aRule({ actions: [issue] });
    await push();
    await run();
    expect(await recorded('issue.requested')).toHaveLength(5);
  });

  it('multiply no refusals where a rule that has several actions listens to refusals', async () => {
    await aRule({ eventType: 'action.refused', actions: [webhook, webhook, webhook] });
    await aRule({ eventType: 'webhook.requested', actions: [webhook, webhook] });
    await happened('action.refused', { action: 'trigger', reason: 'x', detail: 'x', eventId: 'evt' });
    await run();
    expect((await recorded()).length).toBeLessThan(100);
  });

  it('of a story that has used up its budget end in refusals, also after a restart, and are told once', async () => {
    const issue = { type: 'create_issue', with: { title: 'x' } };
    for (let i = 0; i < 3; i++)
      await aRule({ eventType: 'issue.requested', actions: [issue, issue], allowRecursion: true });
    await aRule({ actions: [issue] });
    subscriber = new DecideRules(store, new FixedClock(), noWork, openBudget(store, 200));
    await push();
    await run(40, 20);
    checkpoint -= 20n;
    subscriber = new DecideRules(store, new FixedClock(), noWork, openBudget(store, 200));
    const { events } = await store.readAll({ limit: 100_000 });
    for (const event of events) if (event.position <= checkpoint) subscriber.tables[0]!.apply(event);
    await run(100_000, 20);
    const requests = await recorded('issue.requested');
    expect(requests.length).toBeLessThan(400);
    // The decisions say so, and nothing else: an event for each refusal would make the story longer.
    const decisions = (await recorded('rule.evaluated')).flatMap(
      ({ data }) => (data as DataOf<'rule.evaluated'>).decisions,
    );
    const reasons = decisions.flatMap(({ actions }) => actions.map(({ refused }) => refused));
    expect(reasons).toContain('correlation-exhausted');
    expect(await recorded('action.refused')).toEqual([]);
    const all = (await store.readAll({ limit: 100_000 })).events;
    expect(all.filter((event) => event.is('correlation.exhausted'))).toHaveLength(1);
  });

  it('end at the hop limit when a rule that allows it listens to its own outcome', async () => {
    await aRule({ eventType: 'webhook.requested', actions: [webhook], allowRecursion: true });
    await aRule({ actions: [webhook] });
    await push();
    await run();
    const requests = await recorded('webhook.requested');
    const refused = await recorded('action.refused');
    expect(requests.map(({ metadata }) => metadata.hop)).toEqual(Array.from({ length: MAX_HOPS }, (_, i) => i + 1));
    expect(refused).toHaveLength(1);
    expect(refused[0]!.data).toMatchObject({ action: 'send_webhook', reason: 'too-many-hops' });
    const last = (await decisions()).at(-1)!;
    expect(last).toMatchObject({ outcome: 'matched', actions: [{ type: 'send_webhook', refused: 'too-many-hops' }] });
  });

  it.each(['rule.evaluated', 'rule.none_matched', 'rule.*', 'action.refused'])(
    'end when a rule listens to %s',
    async (eventType) => {
      await aRule({ eventType, actions: [webhook] });
      await aRule({ actions: [webhook] });
      await push();
      await happened('action.refused', { action: 'trigger', reason: 'x', detail: 'x', eventId: 'evt' });
      await run();
      expect((await store.readAll({ from: checkpoint + 1n, limit: 10 })).events).toEqual([]);
      expect((await recorded()).length).toBeLessThan(10 * MAX_HOPS);
    },
  );
});

describe('sizes', () => {
  it('of a request that is too large leave a refusal, and the rest goes on', async () => {
    const big = Array(5).fill('${{ data.text }}');
    await aRule({ actions: [{ type: 'send_webhook', with: { url: 'https://example.com', payload: big } }, webhook] });
    await happened('git.push', { text: 'x'.repeat(200_000) });
    await run();
    expect((await decisions())[0]!.actions.map(({ refused }) => refused)).toEqual(['too-large', undefined]);
    expect((await recorded()).map(({ type }) => type)).toEqual([
      'rule.evaluated',
      'action.refused',
      'webhook.requested',
    ]);
  });

  it('of a thousand rules about one event take several appends, each within the limit, also after a crash between them', async () => {
    const long = 'y'.repeat(180);
    for (let i = 0; i < 1_500; i++)
      await aRule({
        name: `${i} ${long}`,
        conditions: { field: 'data.branch', operator: 'equals', value: long },
        actions: [],
      });
    for (let i = 0; i < 300; i++)
      await aRule({ actions: [{ type: 'create_issue', with: { title: 'x', body: '${{ data.text }}' } }] });
    await run();
    await happened('git.push', { branch: long.replace('y', 'z'), text: 'x'.repeat(10_000) });
    store.fail = 'after';
    store.failAt = 2;
    await expect(run()).rejects.toThrow(Transient);
    store.fail = undefined;
    await restart();
    await run();
    expect(await decisions()).toHaveLength(1_800);
    expect(new Set((await decisions()).map(({ ruleId }) => ruleId)).size).toBe(1_800);
    expect(await recorded('issue.requested')).toHaveLength(300);
  });
});
