import { join } from 'node:path';

import type { DataSource } from 'typeorm';

import { Keyring } from '#libs/access/src/keyring.js';
import { keyFromFile, readKeyFile } from '#libs/access/src/key-file.js';
import type { EventStore } from '#libs/event-store/src/event-store.js';
import type { Log } from '#libs/kernel/src/log.js';
import { openDataSource } from '#libs/persistence/src/data-source.adapter.js';
import { EmbeddedPostgres } from '#libs/persistence/src/embedded-postgres.adapter.js';

import type { Config } from './config.js';

/** Where everything is kept, opened. */
export interface Storage {
  readonly database: DataSource;
  /** For connections beside the data source's own. */
  readonly databaseUrl: string;
  readonly store: EventStore;
  readonly keyring: Keyring;
  /** For the banner: what is kept where, without a password. */
  readonly places: string;
}

/** What has to be closed again, in the opposite order. */
export type Closers = { readonly name: string; readonly close: () => Promise<void> }[];

type View = new () => unknown;

/**
 * Opens database, log and keys; what it has opened is added to `closers`, also when it fails.
 * @throws Rejected in words for the operator: data folder in use, database not there, no such key …
 */
export async function openStorage(
  config: Config,
  views: readonly View[],
  closers: Closers,
  log: Log,
): Promise<Storage> {
  const databaseUrl = config.databaseUrl ?? (await startEmbedded(config, closers, log));
  const keyring = keyringOf(config);
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
  const kept =
    config.databaseUrl === undefined ? `an embedded PostgreSQL in ${config.dataDir}` : 'the PostgreSQL of DATABASE_URL';
  const places = config.eventStoreUrl === undefined ? kept : `the EventStoreDB of EVENTSTORE_URL, views in ${kept}`;
  return { database, databaseUrl, store, keyring, places };
}

async function startEmbedded({ dataDir, settings }: Config, closers: Closers, log: Log): Promise<string> {
  const postgres = await EmbeddedPostgres.start({
    folder: join(dataDir, 'postgres'),
    address: settings.publicUrl,
    log,
  });
  closers.push({ name: 'embedded PostgreSQL', close: () => postgres.stop() });
  return postgres.url;
}

/** Only the adapter that is used is loaded: the other's client costs time and memory. */
async function openLog({ eventStoreUrl }: Config, databaseUrl: string): Promise<EventStore> {
  if (eventStoreUrl !== undefined) {
    const { EventStoreDbEventStore } =
      await import('#libs/event-store/src/adapters/eventstoredb/eventstoredb-event-store.adapter.js');
    return EventStoreDbEventStore.open({ connectionString: eventStoreUrl });
  }
  const { PostgresEventStore } =
    await import('#libs/event-store/src/adapters/postgres/postgres-event-store.adapter.js');
  return PostgresEventStore.open({ connectionString: databaseUrl });
}

/** The key that was generated before MILLRACE_SECRET_KEY was set goes on opening what it has encrypted. */
function keyringOf({ secretKeys: [first, ...others], dataDir }: Config): Keyring {
  if (!first) return new Keyring([keyFromFile(dataDir)]);
  const generated = readKeyFile(dataDir);
  return new Keyring([first, ...others, ...(generated ? [generated] : [])]);
}
