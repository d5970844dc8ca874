import { describe, expect, it } from '@jest/globals';

import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { createTestDatabase } from '../support/database.js';
import { freePort, TestServer } from '../support/server.js';

interface Saved {
  readonly webhook: { readonly url: string; readonly secret?: string };
}
const WORKFLOW =
  'name: shop\ntriggers: [{ type: webhook, respond: wait }]\nsteps: [{ uses: log, with: { message: hi } }]\noutputs: { ok: true }\n';
const env = { MILLRACE_SECRET_KEY: Buffer.alloc(32, 5).toString('base64') };
const save = (server: TestServer) => server.call<Saved>('PUT', '/api/v1/workflows/shop', { source: WORKFLOW });
const order = (url: string, secret: string) =>
  fetch(url, {
    method: 'POST',
    body: '{}',
    headers: {
      authorization: `Bearer ${secret}`,
      'content-type': 'application/json',
      'idempotency-key': 'order-17',
    },
  });
const died = async (server: TestServer): Promise<void> => {
  await waitFor(
    'the server to die',
    () => server.exited,
    () => server.output,
  );
  expect(server.child.signalCode).toBe('SIGKILL');
};

describe('a process that dies on the way from a workflow to its address', () => {
  it.concurrent.each(['intake.before-workflow-integration', 'intake.after-workflow-integration'])(
    'has made one integration after dying at %s',
    async (point) => {
      const database = await createTestDatabase();
      const settings = { databaseUrl: database.url, port: await freePort() };
      let server = await TestServer.start({ ...settings, env: { ...env, MILLRACE_CRASH_AT: point } });
      try {
        const answer = await save(server).catch(() => undefined);
        await died(server);
        server = await TestServer.start({ ...settings, env });
        const integrations = await waitFor('the integration', async () => {
          const all = await server.list<{ id: string; url: string; enabled: boolean }>('/api/v1/integrations');
          return all.length > 0 && all;
        });
        expect(integrations).toMatchObject([{ enabled: true }]);
        const { webhook } = await save(server);
        expect(webhook.url).toBe(integrations[0]!.url);
        // Who was shown a secret was shown the one that is valid; whoever was not sets another.
        const secret = answer?.webhook.secret ?? 'another-secret-0123';
        if (!answer) await server.call('PATCH', `/api/v1/integrations/${integrations[0]!.id}`, { secret });
        const response = await order(webhook.url, secret);
        expect([response.status, await response.json()]).toMatchObject([200, { outputs: { ok: true } }]);
        expect(await server.list('/api/v1/events?type=integration.created')).toHaveLength(1);
      } finally {
        await server.stop();
        await database.drop();
      }
    },
  );
});

describe('a process that dies between a request and its run', () => {
  it.concurrent.each(['intake.after-append', 'workflows.before-start', 'workflows.after-start'])(
    'has started one run after dying at %s',
    async (point) => {
      const database = await createTestDatabase();
      const settings = { databaseUrl: database.url, port: await freePort() };
      let server = await TestServer.start({ ...settings, env });
      const { url, secret } = (await save(server)).webhook;
      await server.stop();
      server = await TestServer.start({ ...settings, env: { ...env, MILLRACE_CRASH_AT: point } });
      try {
        await order(url, secret!).catch(() => undefined);
        await died(server);
        server = await TestServer.start({ ...settings, env });
        const response = await order(url, secret!);
        const body = (await response.json()) as { runId: string };
        expect([response.status, body]).toMatchObject([200, { duplicate: true, status: 'completed' }]);
        const runs = await waitFor('the run to be listed', async () => {
          const all = await server.list<{ id: string }>('/api/v1/runs');
          return all.length > 0 && all;
        });
        expect(runs.map(({ id }) => id)).toEqual([body.runId]);
      } finally {
        await server.stop();
        await database.drop();
      }
    },
  );
});
