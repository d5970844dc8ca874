import { once } from 'node:events';

export default async function teardown() {
  const child = globalThis.millracePostgres;
  if (!child) return;
  const ended = once(child, 'exit');
  child.stdin.end();
  await ended;
}
