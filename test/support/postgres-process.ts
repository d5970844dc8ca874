/**
 * The PostgreSQL of one jest run, or with `durable` that of one benchmark, which has the settings of the product. It lives
 * as long as its standard input is open: when its parent ends, in whatever way, the pipe closes, and the server and its
 * folder go.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { PostgresEventStore } from '#libs/event-store/src/adapters/postgres/postgres-event-store.adapter.js';
import { openDataSource } from '#libs/persistence/src/data-source.adapter.js';
import { EmbeddedPostgres } from '#libs/persistence/src/embedded/embedded-postgres.adapter.js';

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);

const durable = process.argv[2] === 'durable';
/** Benchmarks count statements. */
const counted = { shared_preload_libraries: 'pg_stat_statements' };
const settings = durable
  ? counted
  : { ...counted, max_connections: '300', shared_buffers: '64MB', max_wal_size: '512MB' };

const folder = await mkdtemp(join(tmpdir(), 'millrace-jest-'));
const ended = new Promise((done) => process.stdin.once('end', done).once('close', done).resume());
try {
  const server = await EmbeddedPostgres.start({ folder: join(folder, 'postgres'), durable, settings });
  // What is copied when a database is created: none has to go through all migrations again.
  const template = server.urlOf('template1');
  await (await openDataSource({ url: template })).destroy();
  await (await PostgresEventStore.open({ connectionString: template })).close();
  process.stdout.write(`${server.urlOf('postgres')}\n`);
  await ended;
  await server.stop();
} finally {
  await rm(folder, { recursive: true, force: true });
}
