import type { DataSource } from 'typeorm';

import { DEFAULT_ORG } from '#libs/events/src/envelope.js';
import { openKeyring } from '#libs/access/src/secrets/key-in-force.adapter.js';
import type { Keyring } from '#libs/access/src/secrets/keyring.js';
import type { EventStore } from '#libs/event-store/src/event-store.js';
import { DEFAULT_STREAM_PREFIX, streams } from '#libs/events/src/streams.js';
import type { Log } from '#libs/kernel/src/log.js';
import { openDataSource } from '#libs/persistence/src/data-source.adapter.js';

import type { Config } from './config.js';
import type { Closers } from './database.adapter.js';

/** Where everything is kept, opened. */
export interface Storage {
  readonly database: DataSource;
  readonly store: EventStore;
  readonly keyring: Keyring;
  /** For the banner: what is kept where, without a password. */
  readonly places: string;
}

type View = new () => unknown;

/**
 * Opens database, log and keys; what it has opened is added to `closers`, also when it fails.
 * @throws Rejected in words for the operator: data folder in use, database not there, no such key …
 */
export async function openStorage(
  config: Config,
  databaseUrl: string,
  views: readonly View[],
  closers: Closers,
  log: Log,
): Promise<Storage> {
  // Both make their schema; on a fresh database that is most of the start.
  const [database, store] = await Promise.all([
    openDataSource({ url: databaseUrl, entities: views, log }).then((opened) => {
      closers.push({ name: 'database', close: () => opened.destroy() });
      return opened;
    }),
    openLog(config, databaseUrl).then((opened) => {
      closers.push({ name: 'log', close: () => opened.close() });
      return opened;
    }),
  ]);
  const { keyring, rotated } = await openKeyring(database, config);
  if (rotated > 0) log.info({ rotated, keyId: keyring.currentId }, 'secrets were encrypted again with the first key');
  const kept =
    config.databaseUrl === undefined ? `an embedded PostgreSQL in ${config.dataDir}` : 'the PostgreSQL of DATABASE_URL';
  const places = config.eventStoreUrl === undefined ? kept : `the EventStoreDB of EVENTSTORE_URL, views in ${kept}`;
  return { database, store, keyring, places };
}

/** Only the adapter that is used is loaded: the other's client costs time and memory. */
async function openLog({ eventStoreUrl, streamPrefix }: Config, databaseUrl: string): Promise<EventStore> {
  const prefix = streamPrefix ?? DEFAULT_STREAM_PREFIX;
  if (eventStoreUrl !== undefined) {
    const { EventStoreDbEventStore } =
      await import('#libs/event-store/src/adapters/eventstoredb/eventstoredb-event-store.adapter.js');
    return EventStoreDbEventStore.open({
      connectionString: eventStoreUrl,
      prefix,
      // An operator who names a prefix knows what it means for a log that has none.
      ...(streamPrefix === undefined && { refuseUnprefixed: streams.organisation(DEFAULT_ORG) }),
    });
  }
  const { PostgresEventStore } =
    await import('#libs/event-store/src/adapters/postgres/postgres-event-store.adapter.js');
  return PostgresEventStore.open({ connectionString: databaseUrl, prefix });
}
