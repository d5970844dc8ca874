/**
 * The PostgreSQL of one jest run. It lives as long as its standard input is open: when jest ends, in whatever way, the
 * pipe closes, and the server and its folder go.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { EmbeddedPostgres } from '#libs/persistence/src/embedded/embedded-postgres.adapter.js';

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);

const folder = await mkdtemp(join(tmpdir(), 'millrace-jest-'));
const ended = new Promise((done) => process.stdin.once('end', done).once('close', done).resume());
try {
  const server = await EmbeddedPostgres.start({
    folder: join(folder, 'postgres'),
    durable: false,
    settings: { max_connections: '300', shared_buffers: '64MB', max_wal_size: '512MB' },
  });
  process.stdout.write(`${server.urlOf('postgres')}\n`);
  await ended;
  await server.stop();
} finally {
  await rm(folder, { recursive: true, force: true });
}
