import { join } from 'node:path';

import type { Log } from '#libs/kernel/src/log.js';
import { EmbeddedPostgres } from '#libs/persistence/src/embedded/embedded-postgres.adapter.js';

import type { Config } from './config.js';

/** What has to be closed again, in the opposite order. */
export type Closers = { readonly name: string; readonly close: () => Promise<void> }[];

/**
 * The database of these settings, started if it is ours. A file of its own: PostgreSQL starts, or recovers from a crash,
 * while the bulk of the program is still being loaded.
 * @returns its URL, which may hold a password.
 * @throws Rejected in words for the operator: data folder in use, not writable …
 */
export async function startDatabase(
  { databaseUrl, dataDir, settings }: Config,
  closers: Closers,
  log: Log,
): Promise<string> {
  if (databaseUrl !== undefined) return databaseUrl;
  const postgres = await EmbeddedPostgres.start({
    folder: join(dataDir, 'postgres'),
    address: settings.publicUrl,
    log,
  });
  closers.push({ name: 'embedded PostgreSQL', close: () => postgres.stop() });
  return postgres.url;
}
