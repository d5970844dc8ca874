import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { streams } from '#libs/events/src/streams.js';
import { uuid7 } from '#libs/kernel/src/ids.js';

import { EventStoreDbDouble } from '../../../testing/eventstoredb-double/eventstoredb-double.adapter.js';
import { FOREIGN_TRAFFIC, SharedLog } from '../../../testing/eventstoredb-double/shared-log.js';
import { Follower } from '../../contract/follower.js';
import { anEvent, idsOf, readEverything, someEvents } from '../../contract/given.js';
import { EventStoreDbEventStore, type EventStoreDbOptions } from './eventstoredb-event-store.adapter.js';

describe('an EventStoreDB that others use too', () => {
  let log: SharedLog;
  let server: EventStoreDbDouble;
  const opened: EventStoreDbEventStore[] = [];

  beforeEach(async () => {
    log = new SharedLog();
    server = await EventStoreDbDouble.start({ log });
  });
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((store) => store.close()));
    await server.stop();
  });

  const open = async (options: Omit<EventStoreDbOptions, 'connectionString'> = {}): Promise<EventStoreDbEventStore> => {
    const store = await EventStoreDbEventStore.open({ connectionString: server.connectionString, ...options });
    opened.push(store);
    return store;
  };
  const othersWrite = (count: number): void => {
    for (let n = 0; n < count; n++) log.othersWrite();
  };
  /** Events of others that the server sent: without those whose prefix begins as ours, which are left out here. */
  const foreignSent = (): number =>
    [...log.sent].reduce((sum, [stream, count]) => sum + (/^(\$\$)?millrace\./.test(stream) ? 0 : count), 0);

  test('is read as if we were alone, forwards, backwards and live', async () => {
    const store = await open();
    const follower = new Follower(store, { from: 'start' });
    const events = someEvents(2 * FOREIGN_TRAFFIC.length);
    for (const [n, event] of events.entries()) await store.append(streams.run(String(n)), [event], 'no-stream');
    await follower.untilEvents(events.length);
    expect(idsOf(follower.events)).toEqual(idsOf(events));
    expect(idsOf(await readEverything(store, {}))).toEqual(idsOf(events));
    expect(idsOf(await readEverything(store, { direction: 'backwards' })).reverse()).toEqual(idsOf(events));
    const types = ['thing.happened', 'rule.created', 'webhook.received', '$metadata', '$>'];
    expect(idsOf(await readEverything(store, { filter: { types }, limit: 3 }))).toEqual(idsOf(events));
    expect(idsOf(await readEverything(store, { filter: { streamPrefixes: ['rule', 'run-1', '$'] } }))).toEqual(
      idsOf(events.filter((_, n) => String(n).startsWith('1'))),
    );
    await follower.stop();
  });

  test('keeps what we append in streams that begin with the prefix', async () => {
    const store = await open({ prefix: 'acme.' });
    await store.append('run-1', someEvents(2), 'no-stream');
    await store.truncateBefore('run-1', 1n);
    const stored = log.all.map(({ stream }) => stream).filter((stream) => stream.includes('acme.'));
    expect(stored).toEqual(['acme.run-1', 'acme.run-1', '$$acme.run-1']);
    expect(await store.readStream('run-1')).toHaveLength(1);
  });

  test.each([
    ['millrace.', 'other.'],
    ['millrace.', 'millrace.blue.'],
    ['millrace.', ''],
    ['a.', 'a.b.'],
  ])('keeps two installations apart by their prefixes: %j and %j', async (one, two) => {
    const stores = [await open({ prefix: one }), await open({ prefix: two })];
    const followers = stores.map((store) => new Follower(store, { from: 'start', filter: { types: ['thing.kept'] } }));
    for (const store of stores) {
      await store.append('rule-1', [anEvent({ type: 'thing.kept' })], 'no-stream');
      await store.append('redelivery-1', [anEvent({ type: 'thing.kept' })], 'no-stream');
    }
    const end = anEvent({ type: 'thing.kept' });
    for (const [n, store] of stores.entries()) {
      await store.append('run-end', [end], 'no-stream');
      await followers[n]!.until('the end', ({ events }) => events.at(-1)?.id === end.id);
      expect(followers[n]!.events.map(({ stream }) => stream)).toEqual(['rule-1', 'redelivery-1', 'run-end']);
      await followers[n]!.stop();
    }
  });

  test('is not counted: the head is our newest event, and asking for it brings nothing of others', async () => {
    const store = await open();
    const { position } = await store.append('run-1', [anEvent()], 'no-stream');
    othersWrite(3_000);
    server.append('order-1', 'OrderPlaced', {}, uuid7(), { stored: 'order-1' });
    const before = foreignSent();
    expect(await store.head()).toBe(position);
    await store.ping();
    expect(await (await open()).head()).toBe(position);
    // The end of the log is one record, whoever wrote it: once for the ping, once for the second start.
    expect(foreignSent() - before).toBeLessThanOrEqual(2);
  });

  test('is left out by the server: of 40,000 foreign events next to none is sent, also where types are as ours', async () => {
    const store = await open();
    await store.append('run-1', [anEvent()], 'no-stream');
    othersWrite(40_000);
    await store.append('run-2', [anEvent()], 'no-stream');
    log.sent.clear();
    const started = await open();
    const followers = [{ types: ['thing.happened', 'webhook.received', 'rule.created'] }, undefined].map(
      (filter) => new Follower(started, { from: 'start', ...(filter && { filter }), batchSize: 500 }),
    );
    for (const follower of followers) {
      await follower.untilCaughtUp();
      expect(follower.events.map(({ stream }) => stream)).toEqual(['run-1', 'run-2']);
      await follower.stop();
    }
    // One page by types tells that others use them.
    expect(foreignSent()).toBeLessThan(600);
  });

  test('is searched for our first event once: readers pass over what others wrote before it', async () => {
    othersWrite(5_000);
    const store = await open({ prefix: 'own.' });
    const { position } = await store.append(streams.run('1'), [anEvent()], 'no-stream');
    const again = await open({ prefix: 'own.' });
    const asked: bigint[] = [];
    const indexFrom = log.indexFrom.bind(log);
    log.indexFrom = (from) => (asked.push(from), indexFrom(from));
    expect(await readEverything(again, { filter: { types: ['thing.happened'] } })).toHaveLength(1);
    expect(asked).toEqual([position]);
    // When the first was opened, nothing of ours was there up to the end.
    expect(await readEverything(store, {})).toHaveLength(1);
    expect(asked[1]).toBeGreaterThan(position / 2n);
  });

  test('moves a subscription on by checkpoints while others write and we do not', async () => {
    const store = await open();
    const follower = new Follower(store, { from: 'start' });
    await follower.untilCaughtUp();
    const before = follower.position;
    othersWrite(2_500);
    // What others append reaches the server's subscriptions with this.
    server.append('order-1', 'OrderPlaced', {}, uuid7(), { stored: 'order-1' });
    await follower.until('a checkpoint', ({ position }) => position > before + 50_000n);
    expect(follower.events).toEqual([]);
    expect(foreignSent()).toBeLessThanOrEqual(2);
    await follower.stop();
  });

  test('shows what others wrote under our prefix, and says why it cannot be read', async () => {
    const store = await open();
    const metadata = anEvent().metadata;
    const binary = Buffer.from([0x7b, 0xff, 0xfe, 0x7d]);
    server.append('garbage-1', 'webhook.received', binary, uuid7(), { metadata });
    server.append('garbage-1', 'webhook.received', {}, uuid7(), { metadata: '' });
    server.append('garbage-1', 'webhook.received', {}, uuid7(), { metadata });
    const events = await readEverything(store, { filter: { types: ['webhook.received'] } });
    expect(events.map(({ isReadable }) => isReadable)).toEqual([false, false, true]);
    expect(() => events[0]!.data).toThrow('(stream garbage-1, revision 0): its data is binary');
    expect(() => events[1]!.data).toThrow('(stream garbage-1, revision 1): its metadata is empty');
  });

  test('has a log without prefix refused, with what to do, unless nothing or something else was asked for', async () => {
    const former = await open({ prefix: '' });
    await former.append('organisation-1', [anEvent()], 'no-stream');
    const refuseUnprefixed = 'organisation-1';
    await expect(open({ refuseUnprefixed })).rejects.toMatchObject({
      code: 'log.unprefixed',
      message: expect.stringContaining('set MILLRACE_STREAM_PREFIX to an empty string'),
    });
    expect(await (await open({ prefix: '' })).readStream('organisation-1')).toHaveLength(1);
    const beside = await open();
    await beside.append('run-1', [anEvent()], 'no-stream');
    await open({ refuseUnprefixed });
  });
});
