import { PostgresEventStore } from '../src/adapters/postgres/postgres-event-store.adapter.js';
import type { EventStore } from '../src/event-store.js';

/** How the contract's writer processes open the log: `argument` is the connection string. */
export const openStore = (argument: string): Promise<EventStore> =>
  PostgresEventStore.open({ connectionString: argument });
