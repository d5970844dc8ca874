import { createTestDatabase } from '../../../../../test/support/database.js';
import { TcpProxy } from '../../../../../test/support/tcp-proxy.js';
import { eventStoreContract } from '../../contract/event-store.contract.js';
import type { OpenStore } from '../../contract/open-store.js';
import { PostgresEventStore } from './postgres-event-store.adapter.js';

/** Through a proxy that can misbehave; with a tail so small that a slow consumer falls out of it. */
async function open(): Promise<OpenStore> {
  const database = await createTestDatabase();
  const { proxy, url } = await TcpProxy.inFrontOf(database.url);
  const store = await PostgresEventStore.open({ connectionString: url, tailBytes: 256 * 1024 });
  const end = (): Promise<void> => Promise.resolve(proxy.restore());
  return {
    store,
    close: async () => {
      await store.close();
      await proxy.stop();
      await database.drop();
    },
    faults: {
      dropConnections: () => Promise.resolve(proxy.restore()),
      loseNextAnswer: () => Promise.resolve(proxy.loseAnswerTo('log-append')),
      outage: () => Promise.resolve({ end }).finally(() => proxy.refuse()),
      freeze: () => Promise.resolve({ end }).finally(() => proxy.freeze()),
      processes: { module: new URL('../../../testing/open-postgres.ts', import.meta.url).href, argument: database.url },
    },
  };
}

eventStoreContract('PostgreSQL', open);
