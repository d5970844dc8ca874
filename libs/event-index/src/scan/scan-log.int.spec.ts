import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { EventStoreDbEventStore } from '#libs/event-store/src/adapters/eventstoredb/eventstoredb-event-store.adapter.js';
import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { PostgresEventStore } from '#libs/event-store/src/adapters/postgres/postgres-event-store.adapter.js';
import type { EventStore } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { streams } from '#libs/events/src/streams.js';
import { uuid7 } from '#libs/kernel/src/ids.js';

import { createTestDatabase } from '../../../../test/support/database.js';
import { EventStoreDbDouble } from '../../../event-store/testing/eventstoredb-double/eventstoredb-double.adapter.js';
import type { LogRange } from './log-range.js';
import { scan } from './scan-log.js';

interface Opened {
  readonly store: EventStore;
  close(): Promise<void>;
}

const adapters: readonly (readonly [string, () => Promise<Opened>])[] = [
  ['memory', () => Promise.resolve({ store: new MemoryEventStore(), close: () => Promise.resolve() })],
  [
    'PostgreSQL',
    async () => {
      const database = await createTestDatabase();
      const store = await PostgresEventStore.open({ connectionString: database.url });
      return { store, close: () => store.close().then(() => database.drop()) };
    },
  ],
  [
    'EventStoreDB',
    async () => {
      const double = await EventStoreDbDouble.start();
      const store = await EventStoreDbEventStore.open({ connectionString: double.connectionString });
      return { store, close: () => store.close().then(() => double.stop()) };
    },
  ],
];

describe.each(adapters)('scanning a log in %s', (_, open) => {
  let opened: Opened;
  /** Of the pushes of the organisation, in order. */
  const pushes: { id: string; position: bigint }[] = [];

  beforeAll(async () => {
    opened = await open();
    for (let n = 0; n < 700; n++) {
      const id = uuid7();
      const orgId = n % 5 === 0 ? 'org_2' : 'org_1';
      const type = n % 7 === 0 ? 'rule.evaluated' : 'git.push';
      const timestamp = new Date(Date.UTC(2026, 10, 20, 0, n)).toISOString();
      const event = newEvent(
        { type, data: { n }, timestamp },
        { id, orgId, actor: 'x', now: new Date(Date.UTC(2027, 0, 1, 0, n)) },
      );
      const { position } = await opened.store.append(streams.inbound('int_1', id), [event], 'no-stream');
      if (orgId === 'org_1' && type === 'git.push') pushes.push({ id, position });
    }
  });
  afterAll(() => opened.close());

  const seen = async (more: Partial<LogRange> = {}) => {
    const ids: string[] = [];
    const whole: LogRange = {
      orgId: 'org_1',
      types: ['git.push', 'pr.opened'],
      by: 'timestamp',
      upTo: await opened.store.head(),
    };
    await scan(opened.store, { ...whole, ...more }, ({ id }) => ids.push(id), new AbortController().signal);
    return ids;
  };
  const ids = (events: typeof pushes) => events.map(({ id }) => id);

  it('shows every event of the types and the organisation once, in order', async () => {
    expect(await seen()).toEqual(ids(pushes));
  });

  it('begins and ends at positions, both of them too', async () => {
    const [from, upTo] = [pushes[150]!.position, pushes[420]!.position];
    expect(await seen({ from, upTo })).toEqual(ids(pushes.slice(150, 421)));
    expect(await seen({ from: upTo, upTo })).toEqual(ids(pushes.slice(420, 421)));
  });

  it('begins and ends at times that the events carry', async () => {
    const since = Date.UTC(2026, 10, 20, 0, 100);
    expect(await seen({ since, before: since + 60_000 })).toEqual([]);
    expect(await seen({ since: since + 60_000, before: since + 4 * 60_000 })).toHaveLength(3);
    expect(await seen({ by: 'receivedAt', since: since + 60_000, before: since + 4 * 60_000 })).toEqual([]);
  });

  it('begins and ends at times at which the events were received', async () => {
    const since = Date.UTC(2027, 0, 1, 0, 101);
    expect(await seen({ by: 'receivedAt', since, before: since + 3 * 60_000 })).toHaveLength(3);
  });

  it('finds nothing of a type that is not there', async () => {
    expect(await seen({ types: ['release.published'] })).toEqual([]);
  });
});
