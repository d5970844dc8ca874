import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import type { LogRange } from '#libs/event-index/src/scan/log-range.js';
import { scan } from '#libs/event-index/src/scan/scan-log.js';
import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { eventIdOf } from '#libs/events/src/envelope.js';
import { streams } from '#libs/events/src/streams.js';
import { FixedClock } from '#libs/kernel/src/clock.js';
import { uuid7 } from '#libs/kernel/src/ids.js';

import { checkRule } from '../../language/definition.js';
import { parseBacktest } from './backtest-request.js';
import { BacktestSlots, MAX_BACKTESTS, MAX_BACKTESTS_OF_ONE, runBacktest } from './backtest-run.js';
import { Backtest, type Counts, SAMPLES } from './backtest.js';
import { SimulatedFlow } from './simulated-flow.js';

const rule = (more: object = {}) =>
  checkRule({
    name: 'pushes to main',
    eventType: 'git.push',
    conditions: { field: 'data.branch', operator: 'equals', value: 'main' },
    ...more,
  }).compiled;

interface Past {
  readonly type?: string;
  readonly source?: string;
  readonly orgId?: string;
  readonly data?: object;
  readonly timestamp?: string;
  readonly after?: number;
}

async function logOf(events: readonly Past[]) {
  const clock = new FixedClock();
  const store = new MemoryEventStore(() => clock.now());
  for (const { type = 'git.push', source = 'github', orgId = 'org_1', data = {}, timestamp, after = 0 } of events) {
    clock.advance(after);
    const id = uuid7();
    const event = newEvent(
      { type, data, ...(timestamp !== undefined && { timestamp }) },
      { id, orgId, actor: 'x', source, now: clock.now() },
    );
    await store.append(streams.inbound('int_1', id), [event], 'no-stream');
  }
  return store;
}

const everything = (store: MemoryEventStore) => store.readAll({ limit: 100_000 }).then(({ events }) => events);
const never = new AbortController().signal;
const wholeLog: LogRange = { orgId: 'org_1', types: ['git.push'], by: 'timestamp', upTo: 2n ** 62n };

async function seenBy(draft: Backtest, events: readonly Past[]) {
  for (const event of await everything(await logOf(events))) draft.look(event);
  draft.finish();
  return draft.report();
}

describe('a backtest', () => {
  it('counts what the rule would have made of every event', async () => {
    const report = await seenBy(new Backtest(rule({ eventSource: 'github' })), [
      { data: { branch: 'main' } },
      { data: { branch: 'topic' } },
      { data: { branch: 'main' }, source: 'gitlab' },
      { data: { branch: 'main' }, type: 'git.tag_pushed' },
    ]);
    expect(report).toMatchObject({ scanned: 4, matched: 1, notMatched: 1, notNamed: 2, throttled: 0, errored: 0 });
    expect(report.samples).toMatchObject([
      { outcome: 'matched', type: 'git.push', source: 'github', position: '1' },
      { outcome: 'not_matched', failed: { pointer: '/conditions', actual: 'topic', expected: 'main' }, position: '2' },
    ]);
  });

  it('keeps the newest samples of each outcome and forgets the others', async () => {
    const events = Array.from({ length: 3 * SAMPLES + 4 }, (_, n) => ({
      data: { branch: n % 3 === 0 ? 'main' : 'x' },
    }));
    const report = await seenBy(new Backtest(rule()), events);
    const positions = (outcome: string) =>
      report.samples.filter((sample) => sample.outcome === outcome).map(({ position }) => Number(position));
    const all = events.map(({ data }, index) => [data.branch, index + 1] as const);
    expect(positions('matched')).toEqual(
      all
        .filter(([branch]) => branch === 'main')
        .map(([, n]) => n)
        .slice(-SAMPLES),
    );
    expect(positions('not_matched')).toEqual(
      all
        .filter(([branch]) => branch === 'x')
        .map(([, n]) => n)
        .slice(-SAMPLES),
    );
  });

  it('says which condition decided how often', async () => {
    const draft = rule({
      conditions: {
        all: [
          { field: 'data.branch', operator: 'equals', value: 'main' },
          { field: 'data.forced', operator: 'equals', value: true },
        ],
      },
    });
    const { reasons } = await seenBy(new Backtest(draft), [
      { data: { branch: 'main' } },
      { data: { branch: 'main' } },
      { data: { branch: 'x' } },
    ]);
    expect(reasons).toEqual([
      { pointer: '/conditions/all/1', condition: 'data.forced equals true', count: 2 },
      { pointer: '/conditions/all/0', condition: 'data.branch equals "main"', count: 1 },
    ]);
  });

  it('goes on when the rule cannot be asked about one event', async () => {
    const draft = rule({ conditions: { expression: `data.many && (${Array(40).fill('[@, @][]').join(' | ')})` } });
    const report = await seenBy(new Backtest(draft), [{ data: { many: true } }, { data: { many: false } }]);
    expect(report).toMatchObject({ errored: 1, notMatched: 1, samples: [{ error: expect.any(String) }, {}] });
  });

  it('counts a match whose actions could not be asked for as an error, as deciding does', async () => {
    const draft = rule({ actions: [{ type: 'dispatch_workflow', with: { workflow: '${{ data.flow }}' } }] });
    const report = await seenBy(new Backtest(draft), [
      { data: { branch: 'main', flow: 'deploy' } },
      { data: { branch: 'main' } },
    ]);
    expect(report).toMatchObject({ matched: 1, errored: 1 });
    expect(report.samples.at(-1)).toMatchObject({ error: expect.stringContaining('workflow') });
  });

  it('shows what only the draft and what only the other rule would have matched', async () => {
    const other = rule({ conditions: { field: 'data.branch', operator: 'in', value: ['main', 'next'] } });
    const draft = rule({ conditions: { field: 'data.branch', operator: 'in', value: ['main', 'trunk'] } });
    const store = await logOf(['main', 'next', 'trunk', 'x', 'trunk'].map((branch) => ({ data: { branch } })));
    const events = await everything(store);
    const backtest = new Backtest(draft, other);
    for (const event of events) backtest.look(event);
    expect(backtest.report().difference).toMatchObject({
      both: 1,
      onlyDraft: { count: 2, samples: [{ eventId: eventIdOf(events[2]!.id) }, { eventId: eventIdOf(events[4]!.id) }] },
      onlyOther: { count: 1, samples: [{ eventId: eventIdOf(events[1]!.id) }] },
      other: { matched: 2, notMatched: 3 },
    });
  });

  it('finds no difference between a rule and itself', async () => {
    const backtest = new Backtest(rule(), rule());
    const report = await seenBy(backtest, [{ data: { branch: 'main' } }, { data: {} }]);
    expect(report.difference).toMatchObject({ both: 1, onlyDraft: { count: 0 }, onlyOther: { count: 0 } });
  });

  it('takes the throttle into account, for each rule its own', async () => {
    const throttle = { key: '${{ data.host }}', limit: 1, per: '10m' };
    const backtest = new Backtest(rule({ conditions: { all: [] }, throttle }), rule({ conditions: { all: [] } }));
    const report = await seenBy(backtest, [
      { data: { host: 'a' } },
      { data: { host: 'a' } },
      { data: { host: 'b' } },
      { data: { host: 'a' }, after: 600_000 },
    ]);
    expect(report).toMatchObject({ matched: 3, throttled: 1, throttleExact: true });
    expect(report.difference).toMatchObject({ both: 3, onlyOther: { count: 1 } });
  });

  it('waits for the end of a burst, beside a rule that does not', async () => {
    const debounce = { key: '${{ data.host }}', quiet: '10m' };
    const backtest = new Backtest(rule({ conditions: { all: [] }, debounce }), rule({ conditions: { all: [] } }));
    const events = [{ host: 'a' }, { host: 'b' }, { host: 'a' }].map((data) => ({ data, after: 1_000 }));
    const report = await seenBy(backtest, events);
    expect(report).toMatchObject({ matched: 2, throttled: 1, throttleExact: true });
    expect(report.reasons).toMatchObject([{ pointer: '/debounce', count: 1 }]);
    expect(report.difference).toMatchObject({ both: 2, onlyOther: { count: 1 } });
  });

  it('adds up, whatever happened', async () => {
    const past = fc.record({
      type: fc.constantFrom('git.push', 'git.tag_pushed', 'rule.evaluated'),
      source: fc.constantFrom('github', 'gitlab'),
      data: fc.record({ branch: fc.constantFrom('main', 'x', null), host: fc.constantFrom('a', 'b') }),
      after: fc.integer({ min: 0, max: 100_000 }),
    });
    const throttle = { key: '${{ data.host }}', limit: 2, per: '1m' };
    const draft = rule({ eventSource: 'git*', throttle, debounce: { quiet: '40s', maxWait: '90s' } });
    const other = rule({ eventSource: 'gitlab', conditions: { field: 'data.branch', operator: 'exists' } });
    await fc.assert(
      fc.asyncProperty(fc.array(past, { maxLength: 60 }), async (events) => {
        const { difference, ...report } = await seenBy(new Backtest(draft, other), events);
        const sum = (one: Counts) => one.matched + one.notMatched + one.throttled + one.errored + one.notNamed;
        expect(sum(report)).toBe(events.length);
        expect(sum(difference!.other)).toBe(events.length);
        expect(difference!.both + difference!.onlyDraft.count).toBe(report.matched);
        expect(difference!.both + difference!.onlyOther.count).toBe(difference!.other.matched);
      }),
      { numRuns: 50 },
    );
  });
});

describe('simulated flow control', () => {
  const matched = (key: string) => ({ outcome: 'matched' as const, throttleKey: key, burstKey: key });
  const flowOf = (given: object, most?: number) => new SimulatedFlow(rule(given), most);
  /** Whether a match may act; undefined while it waits. */
  const asked = (flow: SimulatedFlow, key: string, time: number, fits = true): { acts: boolean | undefined } => {
    const answer: { acts: boolean | undefined } = { acts: undefined };
    flow.pass(matched(key), new Date(time), fits, (held) => (answer.acts = held === undefined));
    return answer;
  };
  const throttle = { limit: 2, per: '1s' };

  it('says so when it had to forget a window before its end, and never holds more than it may', () => {
    const flow = flowOf({ throttle }, 3);
    for (const key of ['a', 'b', 'c']) asked(flow, key, 0);
    expect(flow.isExact).toBe(true);
    asked(flow, 'd', 1_500);
    expect(flow.isExact).toBe(true);
    for (const key of ['e', 'f', 'g']) asked(flow, key, 1_600);
    expect(flow.isExact).toBe(false);
  });

  const matches = fc.array(
    fc.record({ key: fc.constantFrom('a', 'b', 'c', 'd', 'e'), wait: fc.integer({ min: 0, max: 700 }) }),
  );
  type Matches = readonly { readonly key: string; readonly wait: number }[];
  /** Who acts, by a plain look at the list: `wanted` is told the match, its time and the list. */
  const actsLike = (given: object, wanted: (times: readonly { key: string; at: number }[], n: number) => boolean) =>
    fc.assert(
      fc.property(matches, (list: Matches) => {
        const flow = flowOf(given);
        let now = 0;
        const times = list.map(({ key, wait }) => ({ key, at: (now += wait) }));
        const answers = times.map(({ key, at }) => asked(flow, key, at));
        flow.finish();
        expect(answers.map(({ acts }) => acts)).toEqual(times.map((_, n) => wanted(times, n)));
        expect(flow.isExact).toBe(true);
      }),
    );

  it('holds back what a plain count of windows holds back', () => {
    actsLike({ throttle }, (times, n) => {
      let window = { startedAt: -Infinity, used: 0 };
      for (const { key, at } of times.slice(0, n + 1)) {
        if (key !== times[n]!.key) continue;
        if (at >= window.startedAt + 1_000) window = { startedAt: at, used: 0 };
        window.used++;
      }
      return window.used <= 2;
    });
  });

  it('acts on the first of a burst', () => {
    actsLike({ once: { quiet: '1s' } }, (times, n) => {
      const before = times.slice(0, n).filter(({ key }) => key === times[n]!.key);
      return before.length === 0 || before.at(-1)!.at + 1_000 <= times[n]!.at;
    });
  });

  it('lets the last of a burst act', () => {
    actsLike({ debounce: { quiet: '1s' } }, (times, n) => {
      const next = times.slice(n + 1).find(({ key }) => key === times[n]!.key);
      return next === undefined || times[n]!.at + 1_000 <= next.at;
    });
  });

  it('ends a burst that does not end', () => {
    const flow = flowOf({ debounce: { quiet: '1s', maxWait: '2s' } });
    const answers = [0, 900, 1_800, 2_000, 2_900].map((at) => asked(flow, 'a', at));
    flow.finish();
    expect(answers.map(({ acts }) => acts)).toEqual([false, false, true, false, true]);
  });

  it('counts for the throttle what a burst let through', () => {
    const flow = flowOf({ debounce: { quiet: '1s' }, throttle: { limit: 1, per: '1m' } });
    const answers = [0, 500, 5_000, 90_000].map((at) => asked(flow, 'a', at));
    flow.finish();
    expect(answers.map(({ acts }) => acts)).toEqual([false, true, false, true]);
  });

  it.each([
    ['throttle', { throttle: { limit: 1, per: '1m' } }, [true, true, false]],
    ['once', { once: { quiet: '1m' } }, [true, true, false]],
    ['debounce', { debounce: { quiet: '1m' } }, [true, false, true]],
  ])('of %s does not count what cannot act', (_, given, wanted) => {
    const flow = flowOf(given);
    const answers = [asked(flow, 'a', 0, false), asked(flow, 'a', 1_000), asked(flow, 'a', 2_000)];
    flow.finish();
    expect(answers.map(({ acts }) => acts)).toEqual(wanted);
  });

  it('holds back outside of the hours', () => {
    const flow = flowOf({ window: { days: ['mon'], from: '09:00', to: '17:00' } });
    const acts = (time: string) => asked(flow, 'a', Date.parse(time)).acts;
    expect(acts('2026-11-23T09:00:00Z')).toBe(true);
    expect(acts('2026-11-23T17:00:00Z')).toBe(false);
    expect(acts('2026-11-24T09:00:00Z')).toBe(false);
  });

  it.each([
    ['of throttles', { throttle: { limit: 1, per: '30d' } }],
    ['of bursts', { once: { quiet: '30d' } }],
  ])('goes on with ever new keys %s', (_, given) => {
    const flow = flowOf(given, 10_000);
    // With a Map that is asked for its first entry again and again this takes longer than a test may.
    let allowed = 0;
    for (let n = 0; n < 60_000; n++) if (asked(flow, `k${n}`, n).acts) allowed++;
    expect(allowed).toBe(60_000);
    expect(flow.isExact).toBe(false);
  });

  it('tells long keys with the same beginning apart', () => {
    const flow = flowOf({ throttle: { limit: 1, per: '1s' } });
    expect(asked(flow, `${'x'.repeat(300)}1`, 0).acts).toBe(true);
    expect(asked(flow, `${'x'.repeat(300)}2`, 0).acts).toBe(true);
    expect(asked(flow, `${'x'.repeat(300)}1`, 0).acts).toBe(false);
  });
});

describe('the scan', () => {
  const positionsOf = async (store: MemoryEventStore, range: Partial<LogRange>) => {
    const seen: number[] = [];
    await scan(store, { ...wholeLog, ...range }, ({ position }) => seen.push(Number(position)), never);
    return seen;
  };

  it('sees the named types of one organisation between two positions, both of them too', async () => {
    const store = await logOf([
      {},
      { orgId: 'org_2' },
      { type: 'git.tag_pushed' },
      {},
      ...Array.from({ length: 600 }, () => ({})),
    ]);
    expect(await positionsOf(store, {})).toHaveLength(602);
    expect(await positionsOf(store, { upTo: 5n })).toEqual([1, 4, 5]);
    expect(await positionsOf(store, { from: 4n, upTo: 4n })).toEqual([4]);
    expect(await positionsOf(store, { from: 5n, upTo: 4n })).toEqual([]);
    expect(await positionsOf(store, { types: [] })).toEqual([]);
    expect(await positionsOf(store, { orgId: 'org_2' })).toEqual([2]);
  });

  it('takes the time that an event carries, the beginning too and the end not', async () => {
    const at = (second: number) => ({ timestamp: `2026-01-01T00:00:0${second}.000Z` });
    const store = await logOf([at(3), at(1), at(2), at(4)]);
    const ms = (second: number) => Date.parse(at(second).timestamp);
    expect(await positionsOf(store, { since: ms(2), before: ms(4) })).toEqual([1, 3]);
  });

  it('keeps at most two pages, and gives way while it goes on', async () => {
    const store = await logOf(Array.from({ length: 2_000 }, () => ({})));
    let read = 0;
    let seen = 0;
    let ahead = 0;
    const counting = {
      readAll: async (options: Parameters<MemoryEventStore['readAll']>[0]) => {
        const page = await store.readAll(options);
        read += page.events.length;
        return page;
      },
    };
    let turns = 0;
    let scanning = true;
    const others = (async () => {
      while (scanning) {
        await new Promise((resolve) => setImmediate(resolve));
        turns++;
      }
    })();
    await scan(
      counting,
      wholeLog,
      () => {
        seen++;
        ahead = Math.max(ahead, read - seen);
        // A rule that takes its time: 0.1 ms for each event.
        const until = performance.now() + 0.1;
        while (performance.now() < until);
      },
      never,
    );
    scanning = false;
    await others;
    expect(seen).toBe(2_000);
    expect(ahead).toBeLessThanOrEqual(200);
    // Once for each page would be 20.
    expect(turns).toBeGreaterThan(40);
  });

  it('ends at once when it is cancelled, and reads no further', async () => {
    const store = await logOf(Array.from({ length: 5_000 }, () => ({})));
    const aborter = new AbortController();
    let reads = 0;
    let seen = 0;
    const counting = { readAll: (options: Parameters<typeof store.readAll>[0]) => (reads++, store.readAll(options)) };
    const look = (): void => {
      if (++seen === 300) aborter.abort();
    };
    await expect(scan(counting, wholeLog, look, aborter.signal)).rejects.toMatchObject({ name: 'AbortError' });
    expect(seen).toBeLessThanOrEqual(400);
    expect(reads).toBeLessThanOrEqual(5);
  });

  it('fails as the log fails', async () => {
    const broken = { readAll: () => Promise.reject(new Error('gone')) };
    await expect(scan(broken, wholeLog, () => undefined, never)).rejects.toThrow('gone');
  });
});

describe('running a backtest', () => {
  it('tells how far it is, at the end that it is done', async () => {
    const store = await logOf(Array.from({ length: 400 }, () => ({ data: { branch: 'main' } })));
    const told: object[] = [];
    const order = { range: wholeLog, total: 400, draft: rule() };
    const report = await runBacktest(store, order, (progress) => told.push(progress), never);
    expect(report).toMatchObject({ scanned: 400, matched: 400, elapsedMs: expect.any(Number) });
    expect(told.at(-1)).toMatchObject({ scanned: 400, total: 400, percent: 100, rate: expect.any(Number) });
  });

  it('is refused where too many are under way, and the slot is free again afterwards', () => {
    const slots = new BacktestSlots();
    const taken = Array.from({ length: MAX_BACKTESTS_OF_ONE }, () => slots.take('org_1'));
    expect(() => slots.take('org_1')).toThrow(expect.objectContaining({ code: 'backtest.busy', kind: 'rate_limited' }));
    for (let n = MAX_BACKTESTS_OF_ONE; n < MAX_BACKTESTS; n++) taken.push(slots.take(`org_${n + 2}`));
    expect(() => slots.take('org_9')).toThrow(expect.objectContaining({ code: 'backtest.busy' }));
    taken[0]!();
    taken[0]!();
    slots.take('org_9');
    expect(() => slots.take('org_9')).toThrow();
  });
});

describe('the request for a backtest', () => {
  const draft = { name: 'a', eventType: 'git.push' };

  it.each<[object, object]>([
    [{}, {}],
    [
      { from: '12', to: 34 },
      { from: { position: 12n }, to: { position: 34n } },
    ],
    [{ from: '2026-11-01' }, { from: { time: new Date('2026-11-01T00:00:00Z') } }],
    [{ to: '2026-11-01T10:00:00+02:00' }, { to: { time: new Date('2026-11-01T08:00:00Z') } }],
    [{ by: 'receivedAt' }, {}],
    [{ by: 'timestamp' }, { by: 'timestamp' }],
    [{ compareTo: 'rul_1' }, { compareTo: { ruleId: 'rul_1' } }],
    [{ compareTo: { ruleId: 'rul_1', version: 2 } }, { compareTo: { ruleId: 'rul_1', version: 2 } }],
  ])('takes %j', (more, parsed) => {
    const { rule: _, ...rest } = parseBacktest({ rule: draft, ...more });
    expect(rest).toEqual({ by: 'receivedAt', ...parsed });
  });

  it.each<[unknown, string]>([
    [{ rule: draft, from: 'yesterday' }, '/from'],
    [{ rule: draft, from: -1 }, '/from'],
    [{ rule: draft, to: '2026-13-01' }, '/to'],
    [{ rule: draft, to: null }, '/to'],
    [{ rule: draft, by: 'created' }, '/by'],
    [{ rule: draft, compareTo: 5 }, '/compareTo'],
    [{ rule: draft, compareTo: 'wf_1' }, '/compareTo'],
    [{ rule: draft, compareTo: {} }, '/compareTo/ruleId'],
    [{ rule: draft, compareTo: { ruleId: 'rul_1', version: 0 } }, '/compareTo/version'],
    [{ rule: draft, until: 1 }, '/until'],
    [{ rule: { ...draft, conditions: { expression: "a == 'b" } } }, '/rule/conditions/expression'],
    [{}, '/rule'],
  ])('names what is wrong with %j', (body, pointer) => {
    expect(() => parseBacktest(body)).toThrow(
      expect.objectContaining({ problems: expect.arrayContaining([expect.objectContaining({ pointer })]) }),
    );
  });
});
