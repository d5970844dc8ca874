import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { Transient } from '#libs/kernel/src/errors.js';
import { uuid7 } from '#libs/kernel/src/ids.js';
import { until } from '#libs/kernel/testing/wait-for.js';

import { EventStoreDbDouble } from '../../../testing/eventstoredb-double/eventstoredb-double.adapter.js';
import { Follower } from '../../contract/follower.js';
import { anEvent, aStream, idsOf, outcomeOf, readEverything, someEvents } from '../../contract/given.js';
import { WrongRevision } from '../../event-store.js';
import { EventStoreDbEventStore } from './eventstoredb-event-store.adapter.js';

/** More than any of these takes on a busy machine, and far less than the network's own limits, which are minutes. */
const BOUND_SECONDS = 60;
const seconds = (start: number): number => (Date.now() - start) / 1000;

describe('the EventStoreDB adapter before a server that fails', () => {
  let server: EventStoreDbDouble;
  let store: EventStoreDbEventStore;

  beforeEach(async () => {
    server = await EventStoreDbDouble.start();
    store = await EventStoreDbEventStore.open({ connectionString: server.connectionString });
  });
  afterEach(async () => {
    server.faults.clear();
    server.thaw();
    await store.close();
    await server.stop();
  });

  test('a server killed under a live subscription and started again: nothing is missed, also what others wrote', async () => {
    const follower = new Follower(store, { from: 'start', filter: { types: ['thing.happened'] } });
    await follower.untilCaughtUp();
    const ids: string[] = [];
    for (let round = 0; round < 3; round++) {
      const before = anEvent();
      await store.append(aStream(), [before], 'no-stream');
      await server.kill();
      const meanwhile = uuid7();
      server.append(aStream(), 'thing.happened', {}, meanwhile);
      await follower.until('disconnected', () => follower.count('disconnected') === round + 1);
      await server.restart();
      const after = anEvent();
      await store.append(aStream(), [after], 'no-stream');
      ids.push(before.id, meanwhile, after.id);
      await follower.untilEvents(ids.length);
    }
    await follower.stop();
    expect(idsOf(follower.events)).toEqual(ids);
  });

  test('a subscription that the server ends is taken up again by itself', async () => {
    const follower = new Follower(store, { from: 'end' });
    await follower.untilCaughtUp();
    server.dropSubscriptions();
    await follower.untilCaughtUp(2);
    expect(server.liveSubscriptions).toBe(1);
    await store.append(aStream(), someEvents(2), 'no-stream');
    await follower.untilEvents(2);
    await follower.stop();
  });

  test('connections that fell silent are given up for new ones, by appends and by the subscription', async () => {
    const follower = new Follower(store, { from: 'end' });
    await follower.untilCaughtUp();
    server.halfOpen();
    const start = Date.now();
    const event = anEvent();
    expect(await store.append(aStream(), [event], 'no-stream')).toMatchObject({ revision: 0n, repeated: false });
    await follower.untilEvents(1);
    expect(seconds(start)).toBeLessThan(BOUND_SECONDS);
    await follower.stop();
    expect(idsOf(follower.events)).toEqual([event.id]);
  });

  test('a quiet subscription on a silent connection is noticed although nobody appends', async () => {
    const follower = new Follower(store, { from: 'end' });
    await follower.untilCaughtUp();
    server.halfOpen();
    const id = uuid7();
    server.append(aStream(), 'thing.happened', {}, id);
    await follower.untilEvents(1);
    await follower.stop();
    expect(idsOf(follower.events)).toEqual([id]);
    expect(follower.count('disconnected')).toBe(1);
  });

  test.each(['stored-unanswered', 'lost', 'stored-then-cut', 'not-ready', 'busy', 'timeout'] as const)(
    'an append that meets "%s" is sent again and stored once',
    async (fault) => {
      const stream = aStream();
      await store.append(stream, [anEvent()], 'no-stream');
      server.faults.nextAppends(fault);
      const events = someEvents(3);
      const result = await store.append(stream, events, 0n);
      expect(result).toMatchObject({ revision: 3n, repeated: false });
      const stored = await store.readStream(stream, { from: 1n });
      expect(idsOf(stored)).toEqual(idsOf(events));
      expect(result.position).toBe(stored.at(-1)!.position);
      expect(await store.append(stream, events, 0n)).toEqual({ ...result, repeated: true });
    },
  );

  test('appends without a revision are told from repetitions although the server has forgotten their ids', async () => {
    const stream = aStream();
    await store.append(stream, [anEvent()], 'no-stream');
    const events = someEvents(2);
    server.faults.nextAppends('stored-then-cut');
    const first = await store.append(stream, events, 'stream-exists');
    await server.kill();
    await server.restart();
    expect(await store.append(stream, events, 'stream-exists')).toEqual({ ...first, repeated: true });
    expect(await store.readStream(stream)).toHaveLength(3);
  });

  test('an answer that comes after its append was given up harms nobody', async () => {
    const stream = aStream();
    server.faults.lateness = 5_500;
    server.faults.nextAppends('late');
    const others = new Set<number>();
    const busy = setInterval(() => {
      const n = others.size;
      others.add(n);
      void store.append(`${stream}-${n}`, [anEvent()], 'no-stream').catch(() => undefined);
    }, 250);
    const events = someEvents(1);
    const result = await store.append(stream, events, 'no-stream');
    expect(result).toMatchObject({ revision: 0n });
    await until(() => server.faults.answeredLate === 1);
    await store.append(stream, [anEvent()], 0n);
    clearInterval(busy);
    expect(idsOf(await store.readStream(stream, { limit: 1 }))).toEqual(idsOf(events));
    // Others were answered all the time: the connection is not to blame and is kept.
    expect(server.calls.get('batchAppend')).toBe(1);
  });

  test('a server that refuses for good is believed', async () => {
    server.faults.nextAppends('wrong-version');
    const outcome = await outcomeOf(store.append(aStream(), [anEvent()], 'no-stream'));
    expect(outcome).toMatchObject({ error: { actual: 41n } });
    expect('error' in outcome && outcome.error).toBeInstanceOf(WrongRevision);
  });

  test('appends wait their turn up to a bound, then callers are told to come back', async () => {
    server.freeze();
    const waiting = Array.from({ length: 4_096 }, () => outcomeOf(store.append(aStream(), [anEvent()], 'no-stream')));
    const refused = store.append(aStream(), [anEvent()], 'no-stream');
    await expect(refused).rejects.toBeInstanceOf(Transient);
    await expect(refused).rejects.toMatchObject({ code: 'log.overloaded' });
    server.thaw();
    const outcomes = await Promise.all(waiting);
    expect(outcomes.filter((outcome) => 'error' in outcome)).toEqual([]);
    expect(server.calls.get('batchAppend')).toBe(1);
  });

  test('during a long outage a call fails after one try, and after it the first one succeeds', async () => {
    await server.kill();
    await expect(store.ping()).rejects.toMatchObject({ code: 'log.unavailable' });
    const start = Date.now();
    for (let n = 0; n < 20; n++)
      await expect(store.append(aStream(), [anEvent()], 'no-stream')).rejects.toMatchObject({
        code: 'log.unavailable',
      });
    expect(seconds(start)).toBeLessThan(BOUND_SECONDS);
    await server.restart();
    expect(await store.append(aStream(), [anEvent()], 'no-stream')).toMatchObject({ revision: 0n });
  });

  test('opening without a server fails in bounded time, and says what to check', async () => {
    await server.kill();
    const start = Date.now();
    const opening = EventStoreDbEventStore.open({ connectionString: server.connectionString });
    await expect(opening).rejects.toMatchObject({ code: 'log.unavailable' });
    await expect(opening).rejects.toThrow('EVENTSTORE_URL');
    expect(seconds(start)).toBeLessThan(BOUND_SECONDS);
    await server.restart();
  });

  test('a connection string that cannot be read is refused at once', async () => {
    await expect(EventStoreDbEventStore.open({ connectionString: 'http://127.0.0.1:1' })).rejects.toThrow('esdb');
  });

  test('a consumer slower than the buffer is deep reads the log instead, and gets everything', async () => {
    const types = ['thing.happened', 'another.thing'];
    let release = (): void => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    const slow = new Follower(store, { from: 'end', filter: { types }, batchSize: 1000 }, ({ kind }) =>
      kind === 'events' ? released : undefined,
    );
    const fast = new Follower(store, { from: 'end', filter: { types: ['thing.happened'] }, batchSize: 1000 });
    await Promise.all([slow.untilCaughtUp(), fast.untilCaughtUp()]);
    for (let n = 0; n < 25_000; n++) server.append(`slow-${n % 10}`, types[n % 2]!, { n }, uuid7());
    await fast.untilEvents(12_500);
    release();
    await slow.untilEvents(25_000);
    await Promise.all([slow.stop(), fast.stop()]);
    const ids = server.log.all.filter(({ stream }) => stream.startsWith('millrace.slow-')).map(({ id }) => id);
    expect(idsOf(slow.events)).toEqual(ids);
  });

  test('two hundred appends at once share one call', async () => {
    await Promise.all(Array.from({ length: 200 }, () => store.append(aStream(), someEvents(2), 'no-stream')));
    expect(server.calls.get('batchAppend')).toBe(1);
  });

  test("the server's own events never show, and its own positions do no harm", async () => {
    expect(await store.head()).toBe(0n);
    const follower = new Follower(store, { from: 'start' });
    await follower.untilCaughtUp();
    const stream = aStream();
    const { position } = await store.append(stream, someEvents(2), 'no-stream');
    await store.truncateBefore(stream, 1n);
    await follower.until('the metadata', () => follower.position > position);
    await follower.stop();
    expect(await store.head()).toBe(position);
    for (const direction of ['forwards', 'backwards'] as const) {
      const events = await readEverything(store, { direction });
      expect(events.map((event) => event.stream)).toEqual([stream]);
    }
    expect(follower.events.map((event) => event.stream)).toEqual([stream, stream]);
  });

  test('keeps what others have set on a stream when it moves the boundary', async () => {
    const stream = aStream();
    await store.append(stream, someEvents(3), 'no-stream');
    server.append(`$$${stream}`, '$metadata', { $maxCount: 100, owner: 'somebody' }, uuid7());
    await store.truncateBefore(stream, 2n);
    const [metadata] = await store.readStream(`$$${stream}`, { direction: 'backwards', limit: 1 });
    expect(JSON.parse(metadata!.dataJson)).toEqual({ $maxCount: 100, owner: 'somebody', $tb: 2 });
  });
});
