import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { DEFAULT_ORG, eventIdOf } from '#libs/events/src/envelope.js';
import { streams } from '#libs/events/src/streams.js';
import { Transient } from '#libs/kernel/src/errors.js';
import { uuid7 } from '#libs/kernel/src/ids.js';
import { type Log, silentLog } from '#libs/kernel/src/log.js';
import { until } from '#libs/kernel/testing/wait-for.js';

import { MemoryCheckpoints, MemoryLocks, memoryManager, MemorySignals } from '../../testing/memory-runner.js';
import { MemoryEventStore } from '../adapters/memory/memory-event-store.js';
import type { EventToAppend, RecordedEvent } from '../event-store.js';
import type { Subscriber, SubscriberContext, Table } from '../subscriber.js';
import { Runner } from './runner.js';

const METADATA = JSON.stringify({
  ...{ source: 'millrace', subject: '', orgId: 'org_1', timestamp: '2026-11-20T13:14:15.123Z', actor: 'millrace' },
  ...{ $correlationId: uuid7(), hop: 0, schemaVersion: 1 },
});

let store: MemoryEventStore;
let checkpoints: MemoryCheckpoints;
let locks: MemoryLocks;
let signals: MemorySignals;
let runners: Runner[];
let warnings: unknown[];
const log: Log = { ...silentLog, warn: ({ error }: { error?: unknown }) => warnings.push(error) };

beforeEach(() => {
  store = new MemoryEventStore();
  checkpoints = new MemoryCheckpoints();
  locks = new MemoryLocks();
  signals = new MemorySignals();
  runners = [];
  warnings = [];
});

afterEach(async () => {
  await Promise.all(runners.map((runner) => runner.stop()));
});

const event = (n: number, type = 'thing.happened'): EventToAppend => ({
  id: uuid7(),
  type,
  data: JSON.stringify({ n }),
  metadata: METADATA,
});

let streamNumber = 0;
/** @returns the position of the last one. */
async function append(...events: EventToAppend[]): Promise<bigint> {
  return (await store.append(`stream-${++streamNumber}`, events, 'no-stream')).position;
}

const numbers = (count: number, from = 0): EventToAppend[] => Array.from({ length: count }, (_, i) => event(from + i));
const n = (recorded: RecordedEvent): number => (recorded.data as unknown as { n: number }).n;

async function start(
  subscribers: readonly Subscriber[],
  tables: readonly Table[] = [],
  more: { readonly gatherMs?: number } = {},
): Promise<Runner> {
  const runner = new Runner({ store, checkpoints, locks, signals, retries: { first: 2, max: 10 }, log, ...more });
  runners.push(runner);
  await runner.start({ subscribers, tables });
  return runner;
}

type Handle = (events: readonly RecordedEvent[], context: SubscriberContext) => Promise<void> | void;
const subscriber = (handle: Handle, more: Partial<Subscriber> = {}): Subscriber => ({
  name: 'test.view',
  reads: 'all',
  writes: [],
  handle: async (events, context) => handle(events, context),
  ...more,
});

/** A view that keeps what it was given, in the transaction of its checkpoint. */
const keeping =
  (view: number[]): Handle =>
  async (events, context) => {
    const manager = memoryManager(await context.transaction());
    for (const number of events.map(n)) manager.write(() => view.push(number));
  };

/** A table that remembers, for the state that a subscriber needs as it was at each event. */
class Seen implements Table {
  readonly name = 'test.seen';
  readonly reads = ['thing.happened'] as unknown as Table['reads'];
  readonly values: number[] = [];
  clear(): void {
    this.values.length = 0;
  }
  apply(recorded: RecordedEvent): void {
    this.values.push(n(recorded));
  }
}

/** Longer than any test: only what ends the pause early goes on. */
const LONG = { gatherMs: 3_600_000 };

const anything = ['thing.happened'] as unknown as Subscriber['reads'];

describe('a subscriber', () => {
  test('is given the whole log in order, and goes on live', async () => {
    await append(...numbers(3));
    const view: number[] = [];
    const runner = await start([subscriber(keeping(view))]);
    const position = await append(...numbers(2, 3));
    await runner.whenProcessed('test.view', position);
    expect(view).toEqual([0, 1, 2, 3, 4]);
  });

  test('goes on where its checkpoint is after a restart', async () => {
    const view: number[] = [];
    const first = await start([subscriber(keeping(view))]);
    await first.whenProcessed('test.view', await append(...numbers(3)));
    await first.stop();
    const position = await append(event(3));
    const second = await start([subscriber(keeping(view))]);
    await second.whenProcessed('test.view', position);
    expect(view).toEqual([0, 1, 2, 3]);
  });

  describe('that gathers', () => {
    const live = (runner: Runner) => until(async () => (await runner.status())[0]?.state === 'live');
    const batching = (batches: number[][]) =>
      subscriber((events) => void batches.push(events.map(n)), { gathers: true, batchSize: 3 });

    test('is given in one batch what arrived while it paused, as soon as somebody waits', async () => {
      const batches: number[][] = [];
      const runner = await start([batching(batches)], [], LONG);
      await live(runner);
      await append(event(0));
      await until(() => batches.length === 1);
      await append(event(1));
      await append(event(2));
      const waiting = runner.whenProcessed('test.view', await append(event(3)));
      expect(batches).toEqual([[0]]);
      await waiting;
      expect(batches).toEqual([[0], [1, 2, 3]]);
    });

    test('does not pause while it is behind', async () => {
      const batches: number[][] = [];
      const runner = await start([batching(batches)], [], LONG);
      await live(runner);
      await append(...numbers(7));
      await until(() => batches.length === 3);
      expect(batches).toEqual([[0, 1, 2], [3, 4, 5], [6]]);
    });

    test('stops at once', async () => {
      const batches: number[][] = [];
      const runner = await start([batching(batches)], [], LONG);
      await live(runner);
      await append(event(0));
      await until(() => batches.length === 1);
      await runner.stop();
    });
  });

  test('gets the types it reads, and reaches positions at which nothing was for it', async () => {
    const view: number[] = [];
    const runner = await start([subscriber(keeping(view), { reads: anything })]);
    await append(event(1));
    const position = await append(event(2, 'other.happened'));
    await runner.whenProcessed('test.view', position);
    expect(view).toEqual([1]);
  });

  test('writes its views exactly once when commits fail now and then', async () => {
    const view: number[] = [];
    let commits = 0;
    checkpoints.beforeCommit = () => {
      if (++commits % 3 === 0) throw new Transient('database.unavailable', 'away');
    };
    const runner = await start([subscriber(keeping(view), { batchSize: 2 })]);
    const position = await append(...numbers(20));
    await runner.whenProcessed('test.view', position, 20_000);
    expect(view).toEqual(Array.from({ length: 20 }, (_, i) => i));
  });

  test('that writes no views has its checkpoint written at the end, not at every batch', async () => {
    let handled = 0;
    const runner = await start([subscriber((events) => void (handled += events.length), { batchSize: 1 })]);
    const position = await append(...numbers(50));
    await runner.whenProcessed('test.view', position);
    expect(handled).toBe(50);
    expect(checkpoints.saves).toBeLessThanOrEqual(2);
    await runner.stop();
    expect(await checkpoints.load('test.view')).toBe(position);
  });

  test('tries again for ever when the error is passing, and says so', async () => {
    let away = true;
    let tries = 0;
    const view: number[] = [];
    const runner = await start([
      subscriber(async (events, context) => {
        tries++;
        if (away) throw new Transient('receiver.away', 'the receiver is away');
        await keeping(view)(events, context);
      }),
    ]);
    const position = await append(event(1));
    await until(() => tries > 10);
    await expect(runner.whenProcessed('test.view', position, 1)).rejects.toMatchObject({ code: 'subscriber.behind' });
    await until(async () => (await runner.status())[0]!.state === 'retrying');
    expect((await runner.status())[0]).toMatchObject({ reason: 'the receiver is away', parked: 0 });
    away = false;
    await runner.whenProcessed('test.view', position);
    expect(view).toEqual([1]);
    expect((await runner.status())[0]).toMatchObject({ state: 'live', active: true, lagSeconds: 0 });
  });
});

describe('an event that a subscriber cannot handle', () => {
  const allergicTo =
    (poison: number, view: number[]): Handle =>
    async (events, context) => {
      for (const one of events) if (n(one) === poison) throw new TypeError(`cannot read ${poison}`);
      await keeping(view)(events, context);
    };

  test('is parked, told in the log, and the rest goes on', async () => {
    const view: number[] = [];
    await append(...numbers(5));
    const runner = await start([subscriber(allergicTo(2, view))]);
    await runner.whenProcessed('test.view', 5n, 20_000);
    expect(view.slice(0, 4)).toEqual([0, 1, 3, 4]);
    expect(await runner.parked('test.view')).toMatchObject([
      { position: 3n, type: 'thing.happened', reason: 'cannot read 2', tries: 3 },
    ]);
    const [told, ...more] = await store.readStream(streams.parked('test.view'));
    expect(told?.type).toBe('subscriber.parked');
    expect(told?.data).toMatchObject({ subscriber: 'test.view', position: '3', reason: 'cannot read 2' });
    expect(told?.metadata).toMatchObject({ orgId: 'org_1', hop: 1 });
    expect(more).toEqual([]);
  });

  test('is handled again when asked, and only then leaves the list', async () => {
    const view: number[] = [];
    let cured = false;
    const runner = await start([
      subscriber((events, context) => (cured ? keeping(view) : allergicTo(1, view))(events, context), {
        reads: anything,
      }),
    ]);
    const position = await append(event(1));
    await runner.whenProcessed('test.view', position, 20_000);
    await runner.retryParked('test.view', position);
    await until(async () => (await runner.parked())[0]?.tries === 4);
    expect(view).toEqual([]);

    cured = true;
    await runner.retryParked('test.view', position);
    await until(async () => (await runner.parked()).length === 0);

    expect(view).toEqual([1]);
    await runner.whenProcessed('test.view', await append(event(2)));
    expect(view).toEqual([1, 2]);
  });

  test('that is itself the news of a parked event does not breed', async () => {
    const runner = await start([
      subscriber(() => {
        throw new TypeError('nothing is right');
      }),
    ]);
    await append(event(1));
    await until(async () => (await runner.parked()).length === 2);
    await runner.whenProcessed('test.view', 2n, 20_000);
    expect(await store.head()).toBe(2n);
  });

  test('cannot be retried when it is not parked', async () => {
    const runner = await start([subscriber(() => undefined)]);
    await expect(runner.retryParked('test.view', 7n)).rejects.toMatchObject({ code: 'subscriber.not_parked' });
  });
});

describe('an event that nobody can read, since others wrote it', () => {
  const broken: [string, Partial<EventToAppend>, string][] = [
    ['no metadata', { metadata: '' }, 'its metadata is empty'],
    ['metadata that is not JSON', { metadata: '{"cut' }, 'its metadata is not JSON'],
    [
      'metadata of another program',
      { metadata: '{"user":"them"}' },
      'its metadata is not that of an event of this program',
    ],
    ['no data', { data: '' }, 'its data is empty'],
    ['data that is not JSON', { data: '\ufffd\u0001' }, 'its data is not JSON'],
    ['data that is a text', { data: '"text"' }, 'its data is not a JSON object'],
    ['data that is a list', { data: '[1]' }, 'its data is not a JSON object'],
  ];

  test.each(broken)('with %s is set aside at once, named, and the rest goes on', async (_, more, reason) => {
    const view: number[] = [];
    let calls = 0;
    const runner = await start([
      subscriber(
        (events, context) => {
          calls++;
          return keeping(view)(events, context);
        },
        { reads: anything },
      ),
    ]);
    const wrong = { ...event(1), ...more };
    const position = await append(event(0), wrong, event(2));
    await runner.whenProcessed('test.view', position);
    expect(view).toEqual([0, 2]);
    expect(calls).toBe(2);
    const stream = `stream-${streamNumber}`;
    const whole = `event ${wrong.id} cannot be read (stream ${stream}, revision 1): ${reason}`;
    expect(await runner.parked('test.view')).toMatchObject([{ eventId: wrong.id, reason: whole, tries: 1 }]);
    const [told] = await store.readStream(streams.parked('test.view'));
    expect(told?.data).toMatchObject({ eventId: wrong.id, reason: whole });
    expect(told?.metadata).toMatchObject({ $causationId: wrong.id, orgId: DEFAULT_ORG });
    await until(async () => (await runner.status())[0]!.state === 'live');
    expect((await runner.status())[0]).toMatchObject({ parked: 1 });
  });

  test('costs others no time, however many there are', async () => {
    const view: number[] = [];
    let calls = 0;
    const wrong = Array.from({ length: 1_000 }, (_, i) => ({ ...event(i), metadata: '' }));
    await append(event(0), ...wrong, event(1));
    const runner = await start([
      subscriber(
        (events, context) => {
          calls++;
          return keeping(view)(events, context);
        },
        { reads: anything },
      ),
    ]);
    await runner.whenProcessed('test.view', 1_002n);
    expect(view).toEqual([0, 1]);
    expect(calls).toBeLessThanOrEqual(4);
    expect(await runner.parked()).toHaveLength(1_000);
    expect(await store.head()).toBe(2_002n);
  });

  test('is left alone by a subscriber that needs no more of it than its type', async () => {
    const types: string[] = [];
    await append({ ...event(0), metadata: '' });
    const runner = await start([
      subscriber((events) => void types.push(...events.map(({ type }) => type)), { reads: anything }),
    ]);
    await runner.whenProcessed('test.view', 1n);
    expect(types).toEqual(['thing.happened']);
    expect(await runner.parked()).toEqual([]);
  });

  test('is left out by tables, which count it', async () => {
    const table = new Seen();
    await append(event(0), { ...event(1), data: 'nothing' }, event(2));
    const runner = await start([], [table]);
    expect(table.values).toEqual([0, 2]);
    expect(await runner.status()).toMatchObject([{ name: 'test.seen', parked: 1, state: 'live' }]);
  });
});

describe('tables of a subscriber', () => {
  test('are as they were at each event, also after a restart and after failures', async () => {
    const seen: string[] = [];
    const withTable = (fail: () => boolean): Subscriber => {
      const table = new Seen();
      return subscriber(
        async (events, context) => {
          const manager = memoryManager(await context.transaction());
          for (const one of events) {
            const before = table.values.join();
            table.apply(one);
            manager.write(() => seen.push(`${n(one)} after [${before}]`));
          }
          if (fail()) throw new Transient('database.unavailable', 'away');
        },
        { reads: anything, tables: [table], batchSize: 2 },
      );
    };
    await append(...numbers(4));
    let failures = 3;
    const first = await start([withTable(() => failures-- > 0)]);
    await first.whenProcessed('test.view', 4n);
    await first.stop();
    const position = await append(event(4));
    const second = await start([withTable(() => false)]);
    await second.whenProcessed('test.view', position);
    expect(seen).toEqual(['0 after []', '1 after [0]', '2 after [0,1]', '3 after [0,1,2]', '4 after [0,1,2,3]']);
  });

  test('must not read what the subscriber does not', async () => {
    const reads = ['other.happened'] as unknown as Subscriber['reads'];
    await expect(start([subscriber(() => undefined, { reads, tables: [new Seen()] })])).rejects.toThrow(
      'test.view does not read thing.happened, which its table test.seen is folded from',
    );
  });
});

describe('an event in quarantine', () => {
  let bad: EventToAppend;
  beforeEach(async () => {
    bad = event(1);
    await append(event(0), bad, event(2));
  });
  let marks = 0;
  const tell = (type: string) =>
    append({ ...event(++marks, type), data: JSON.stringify({ eventId: eventIdOf(bad.id), reason: 'x' }) });
  /** A runner as a server starts it: with the table of what is in quarantine. */
  async function startWithQuarantine(...subscribers: readonly Subscriber[]): Promise<Runner> {
    const runner = new Runner({ store, checkpoints, locks, signals, retries: { first: 2, max: 10 }, log });
    runners.push(runner);
    await runner.start({ subscribers, tables: [runner.quarantine] });
    return runner;
  }
  const things = (events: readonly RecordedEvent[]) => events.filter(({ type }) => type === 'thing.happened');

  test('is passed over by subscribers that are behind, in every process, and from the start of the log', async () => {
    const views: number[][] = [];
    for (const name of ['test.first', 'test.second']) {
      const position = await tell('event.quarantined');
      const view: number[] = [];
      views.push(view);
      const runner = await startWithQuarantine(subscriber(keeping(view), { name, reads: anything }));
      await runner.whenProcessed(name, position);
    }
    expect(views).toEqual([
      [0, 2],
      [0, 2],
    ]);
  });

  test('is given to those who show or prove what is in the log', async () => {
    const position = await tell('event.quarantined');
    const view: number[] = [];
    const shows = subscriber((events) => void view.push(...things(events).map(n)), { seesQuarantined: true });
    await (await startWithQuarantine(shows)).whenProcessed('test.view', position);
    expect(view).toEqual([0, 1, 2]);
  });

  test('is given to those who come to it after its release', async () => {
    await tell('event.quarantined');
    const position = await tell('event.released');
    const view: number[] = [];
    const runner = await startWithQuarantine(subscriber(keeping(view), { reads: anything }));
    await runner.whenProcessed('test.view', position);
    expect(view).toEqual([0, 1, 2]);
  });

  test('leaves the list of parked events without being handled again', async () => {
    let tries = 0;
    const fails = subscriber((events) => {
      for (const one of things(events))
        if (n(one) === 1) {
          tries += 1;
          throw new TypeError('no');
        }
    });
    const runner = await startWithQuarantine(fails);
    await until(async () => (await runner.parked()).length === 1);
    await runner.whenProcessed(runner.quarantine.name, await tell('event.quarantined'));
    const before = tries;
    await runner.retryParked('test.view', (await runner.parked())[0]!.position);
    await until(async () => (await runner.parked()).length === 0);
    expect(tries).toBe(before);
  });
});

describe('tables of a process', () => {
  test('hold everything that was in the log when start resolves, and follow on', async () => {
    await append(...numbers(3));
    const table = new Seen();
    const runner = await start([], [table]);
    expect(table.values).toEqual([0, 1, 2]);
    await runner.whenProcessed('test.seen', await append(event(3)));
    expect(table.values).toEqual([0, 1, 2, 3]);
  });

  test('wait for what is passing, and go on without what they cannot take in', async () => {
    const table = new Seen();
    let away = 2;
    table.apply = (recorded) => {
      if (n(recorded) === 1 && away-- > 0) throw new Transient('secrets.away', 'away');
      if (n(recorded) === 2) throw new TypeError('no');
      table.values.push(n(recorded));
    };
    await append(...numbers(4));
    const runner = await start([], [table]);
    expect(table.values).toEqual([0, 1, 3]);
    // Whoever does not find something in it must not say that it does not exist.
    expect(table).toMatchObject({ incomplete: true });
    expect((await runner.status())[0]).toMatchObject({ state: 'incomplete' });
  });

  test('have names of their own', async () => {
    await expect(start([], [new Seen(), new Seen()])).rejects.toThrow('two subscribers or tables are called test.seen');
  });
});

describe('of several processes', () => {
  test('one has a subscriber, and another takes over when its lock is lost', async () => {
    const [one, other]: [number[], number[]] = [[], []];
    const first = await start([subscriber(keeping(one))]);
    const second = await start([subscriber(keeping(other))]);
    await first.whenProcessed('test.view', await append(event(0)));
    expect(other).toEqual([]);
    expect((await second.status())[0]).toMatchObject({ state: 'waiting', active: false });

    await first.stop();
    await second.whenProcessed('test.view', await append(event(1)));
    expect(one).toEqual([0]);
    expect(other).toEqual([1]);
  });

  test('any can wait for what another one handles, though that writes no checkpoint by itself', async () => {
    const first = await start([subscriber(() => undefined)]);
    const second = await start([subscriber(() => undefined)]);
    const position = await append(event(0));
    await second.whenProcessed('test.view', position);
    expect(await checkpoints.load('test.view')).toBe(position);
    expect((await first.status())[0]).toMatchObject({ active: true });
  });

  test('one that lost its lock without noticing cannot commit', async () => {
    const [zombie, heir]: [number[], number[]] = [[], []];
    let release: (() => void) | undefined;
    await start([
      subscriber(async (events, context) => {
        await keeping(zombie)(events, context);
        await new Promise<void>((done) => (release = done));
      }),
    ]);
    const position = await append(event(0));
    await until(() => release !== undefined);

    const second = await start([subscriber(keeping(heir))]);
    locks.breakLock('test.view', true);
    await second.whenProcessed('test.view', position);
    release!();
    await until(() => warnings.some((error) => /another instance is active/.test(String(error))));

    expect(heir).toEqual([0]);
    expect(zombie).toEqual([]);
  });
});
