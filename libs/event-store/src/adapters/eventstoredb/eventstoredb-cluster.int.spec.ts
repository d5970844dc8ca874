import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { until } from '#libs/kernel/testing/wait-for.js';

import { DoubleLog } from '../../../testing/eventstoredb-double/double-log.js';
import { EventStoreDbDouble, type Member } from '../../../testing/eventstoredb-double/eventstoredb-double.adapter.js';
import { Follower } from '../../contract/follower.js';
import { anEvent, aStream, idsOf, someEvents } from '../../contract/given.js';
import { EventStoreDbEventStore } from './eventstoredb-event-store.adapter.js';

const host = '127.0.0.1';

/** Two nodes over one log, as if replication were instant. */
describe('the EventStoreDB adapter before a cluster', () => {
  let nodes: [EventStoreDbDouble, EventStoreDbDouble];
  let store: EventStoreDbEventStore;

  const elect = (leader: EventStoreDbDouble): void => {
    const members = nodes.map((node): Member => ({
      host,
      port: node.port,
      state: node === leader ? 'leader' : 'follower',
    }));
    for (const node of nodes) {
      node.members = members;
      node.faults.leader = node === leader ? undefined : { host, port: leader.port };
    }
  };
  const callsTo = (node: EventStoreDbDouble): number => node.calls.get('batchAppend') ?? 0;

  beforeEach(async () => {
    const log = new DoubleLog();
    nodes = [await EventStoreDbDouble.start({ log }), await EventStoreDbDouble.start({ log })];
    elect(nodes[0]);
    const hosts = nodes.map(({ port }) => `${host}:${port}`).join(',');
    store = await EventStoreDbEventStore.open({ connectionString: `esdb://${hosts}?tls=false&nodePreference=leader` });
  });
  afterEach(async () => {
    await store.close();
    for (const node of nodes) await node.stop();
  });

  test('finds the leader among the hosts by gossip', async () => {
    await store.append(aStream(), [anEvent()], 'no-stream');
    expect([callsTo(nodes[0]), callsTo(nodes[1])]).toEqual([1, 0]);
  });

  test('follows when the leader loses its office: appends in flight are stored once, subscriptions go on', async () => {
    const follower = new Follower(store, { from: 'end' });
    await follower.untilCaughtUp();
    const ids: string[] = [];
    const append = async (): Promise<void> => {
      const events = someEvents(2);
      await store.append(aStream(), events, 'no-stream');
      ids.push(...idsOf(events));
    };
    await append();
    const inFlight = Promise.all(Array.from({ length: 20 }, append));
    elect(nodes[1]);
    nodes[0].dropSubscriptions();
    await inFlight;
    await append();
    await follower.untilEvents(44);
    await follower.stop();
    expect(idsOf(follower.events).sort()).toEqual(ids.sort());
    expect(callsTo(nodes[1])).toBeGreaterThan(0);
  });

  test('goes to the new leader when the old one is killed', async () => {
    const follower = new Follower(store, { from: 'end' });
    await follower.untilCaughtUp();
    await store.append(aStream(), [anEvent()], 'no-stream');
    await nodes[0].kill();
    elect(nodes[1]);
    await store.append(aStream(), [anEvent()], 'no-stream');
    await follower.untilEvents(2);
    await follower.stop();
    await nodes[0].restart();
  });

  test('goes to the new leader when the old one falls silent', async () => {
    await store.append(aStream(), [anEvent()], 'no-stream');
    nodes[0].halfOpen();
    elect(nodes[1]);
    expect(await store.append(aStream(), [anEvent()], 'no-stream')).toMatchObject({ repeated: false });
    expect(callsTo(nodes[1])).toBe(1);
  });

  test('waits through an election', async () => {
    for (const node of nodes) node.faults.leader = 'unknown';
    const stream = aStream();
    const append = store.append(stream, [anEvent()], 'no-stream');
    await until(() => (nodes[0].calls.get('batchAppend') ?? 0) > 2);
    elect(nodes[1]);
    expect(await append).toMatchObject({ revision: 0n });
    expect(await store.readStream(stream)).toHaveLength(1);
  });

  test('a single host that is not the leader is enough: it says where the leader is', async () => {
    elect(nodes[1]);
    const other = await EventStoreDbEventStore.open({ connectionString: `esdb://${host}:${nodes[0].port}?tls=false` });
    expect(await other.append(aStream(), [anEvent()], 'no-stream')).toMatchObject({ revision: 0n });
    await other.close();
    expect(callsTo(nodes[1])).toBe(1);
  });
});
