/** Starts the PostgreSQL of this jest run; only runs that have int or e2e specs come here. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';

const root = resolve(import.meta.dirname, '../../..');

export default async function setup() {
  const child = spawn(
    process.execPath,
    ['--conditions=source', '--import', './test/support/register-ts.mjs', './test/support/postgres-process.ts'],
    // A process group of its own: Ctrl-C reaches jest alone, whose end the child then notices.
    { cwd: root, stdio: ['pipe', 'pipe', 'inherit'], detached: true, env: { ...process.env, NODE_OPTIONS: '' } },
  );
  child.on('exit', () => (globalThis.millracePostgres = undefined));
  const lines = createInterface({ input: child.stdout });
  const [url] = await Promise.race([once(lines, 'line'), once(child, 'exit').then(() => [])]);
  if (!url) throw new Error('PostgreSQL for the tests did not start: see above.');
  process.env.MILLRACE_TEST_POSTGRES = url;
  globalThis.millracePostgres = child;
}
