import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, it } from '@jest/globals';

import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { ADMIN_TOKEN, TestServer } from '../support/server.js';

let database: TestDatabase;
let dataDir: string;
beforeAll(async () => {
  database = await createTestDatabase();
  dataDir = await mkdtemp(join(tmpdir(), 'millrace-budget-'));
});
afterAll(async () => {
  await database.drop();
  await rm(dataDir, { recursive: true, force: true });
});

const start = (env: Readonly<Record<string, string>> = {}) =>
  TestServer.start({
    dataDir,
    databaseUrl: database.url,
    env: {
      MILLRACE_CORRELATION_BUDGET: '10',
      MILLRACE_SECRET_KEY: Buffer.alloc(32, 5).toString('base64'),
      ...env,
    },
  });

async function ask(server: TestServer, path: string, body?: object): Promise<{ data: unknown[] }> {
  const response = await fetch(`${server.url}/api/v1/${path}`, {
    method: body ? 'POST' : 'GET',
    headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' },
    ...(body && { body: JSON.stringify(body) }),
  });
  return (await response.json()) as { data: unknown[] };
}

it('a story that used up its budget is told of once, although the process dies before it can', async () => {
  const dying = await start({ MILLRACE_CRASH_AT: 'budget.before-tell' });
  const action = { type: 'create_issue', with: { title: 'again' } };
  await ask(dying, 'rules', {
    name: 'avalanche',
    eventType: 'issue.created',
    actions: [action, action],
    allowRecursion: true,
  });
  await ask(dying, 'issues', { title: 'one event' }).catch(() => undefined);
  await waitFor('the process to die', () => dying.exited);
  const server = await start();
  const told = async () => (await ask(server, 'events?type=correlation.exhausted')).data.length;
  await waitFor('the event', async () => (await told()) === 1);
  const decided = async () => (await ask(server, 'events?type=rule.evaluated&limit=200')).data;
  await waitFor('a refusal', async () => JSON.stringify(await decided()).includes('correlation-exhausted'));
  expect(await told()).toBe(1);
  await server.stop();
});
