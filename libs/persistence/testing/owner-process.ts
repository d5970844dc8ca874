/**
 * A process with an embedded PostgreSQL, to be killed: `owner-process.ts <folder>` prints `owns <pid of PostgreSQL>` or
 * `refused <code> <message>`, and stops PostgreSQL when its standard input ends.
 */
import { EmbeddedPostgres } from '#libs/persistence/src/embedded/embedded-postgres.adapter.js';
import { findRunning } from '#libs/persistence/src/embedded/postgres-process.adapter.js';

const folder = process.argv[2]!;
try {
  const server = await EmbeddedPostgres.start({ folder, durable: false, address: 'http://127.0.0.1:3999' });
  process.stdout.write(`owns ${(await findRunning(folder))!.pid}\n`);
  await new Promise((done) => process.stdin.once('end', done).resume());
  await server.stop();
} catch (error) {
  const { code, message } = error as { code?: string; message: string };
  process.stdout.write(`refused ${code} ${message}\n`);
}
