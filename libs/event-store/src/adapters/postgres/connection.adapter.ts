import pg from 'pg';

import { SESSION_OPTIONS } from './schema.js';

/** How long a connection may take to be made: a database that is up answers within milliseconds. */
const CONNECT_MS = 1_500;

/** A connection of its own, with keep-alive, so that a peer that has vanished is noticed. An error on it is never unhandled. */
export async function connect(connectionString: string, name: string): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString,
    application_name: name,
    options: SESSION_OPTIONS,
    connectionTimeoutMillis: CONNECT_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
  });
  // A pending query fails with this error; code that waits for no answer listens for `end`.
  client.on('error', () => undefined);
  try {
    await client.connect();
  } catch (error) {
    discard(client);
    throw error;
  }
  return client;
}

/** Ends a connection without waiting for the other side: it may be the one that does not answer. */
export function discard(client: pg.Client): void {
  client.end().catch(() => undefined);
  const { connection } = client as unknown as { connection?: { stream?: { destroy(): void } } };
  connection?.stream?.destroy();
}
