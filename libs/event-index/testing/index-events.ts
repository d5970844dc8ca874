import type { DataSource } from 'typeorm';

import type { EventStore } from '#libs/event-store/src/event-store.js';
import { inTransaction } from '#libs/persistence/src/transaction/in-transaction.adapter.js';

import { EventIndex } from '../src/event-index.projection.js';

/** Brings the index to the end of the log, as the runner would. */
export async function indexEvents(database: DataSource, store: EventStore): Promise<void> {
  const { events } = await store.readAll({ limit: 100_000 });
  await inTransaction(database, (manager) =>
    new EventIndex().handle(events, {
      transaction: () => Promise.resolve(manager),
      signal: new AbortController().signal,
    }),
  );
}
