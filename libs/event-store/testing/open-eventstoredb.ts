import { EventStoreDbEventStore } from '../src/adapters/eventstoredb/eventstoredb-event-store.adapter.js';
import type { EventStore } from '../src/event-store.js';

/** How a test's other processes open the same log. */
export const openStore = (connectionString: string): Promise<EventStore> =>
  EventStoreDbEventStore.open({ connectionString });
