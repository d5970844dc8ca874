import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { createTestDatabase } from '../../support/database.js';
import { Receiver } from '../../support/receiver.js';
import { ADMIN_TOKEN, TestServer } from '../../support/server.js';

/** Commands are stored, and answered from what they stored, whether or not anybody follows the log. */
describe('an api process that no worker follows', () => {
  let api: TestServer;
  let database: Awaited<ReturnType<typeof createTestDatabase>>;
  let receiver: Receiver;

  beforeAll(async () => {
    database = await createTestDatabase();
    receiver = await Receiver.start();
    api = await TestServer.start({ databaseUrl: database.url, env: { MILLRACE_ROLES: 'api' } });
  });
  afterAll(async () => {
    await api.stop();
    await receiver.stop();
    await database.drop();
  });

  const send = async (method: string, path: string, body: unknown, key?: string) => {
    const answer = await fetch(api.url + path, {
      method,
      headers: {
        authorization: `Bearer ${ADMIN_TOKEN}`,
        'content-type': 'application/json',
        ...(key !== undefined && { 'idempotency-key': key }),
      },
      body: JSON.stringify(body),
    });
    return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
  };

  const RULE = {
    name: 'r',
    eventSource: '*',
    eventType: 'git.push',
    conditions: { all: [] },
    actions: [{ type: 'create_issue', with: { title: 't' } }],
  };
  const WORKFLOW =
    'name: by-hand\ntriggers:\n  - type: manual\nsteps:\n  - id: hello\n    uses: log\n    with: { message: hello }\n';

  it.each([
    ['a rule', '/api/v1/rules', RULE, { name: 'r', version: 1, status: 'enabled' }],
    [
      'an integration',
      '/api/v1/integrations',
      { name: 'i', provider: 'github', secret: 'gh-secret-0123' },
      { secret: 'gh-secret-0123', enabled: true },
    ],
    [
      'an agent',
      '/api/v1/agents',
      { name: 'a', runtime: 'http', config: { url: 'https://example.com/' }, webhookEnabled: true, auth: 'bearer' },
      { secret: expect.stringMatching(/^mrs_/) },
    ],
    ['an issue', '/api/v1/issues', { title: 'it' }, { title: 'it', status: 'open', comments: 0 }],
    ['a token', '/api/v1/tokens', { name: 't', roles: ['auditor'] }, { token: expect.stringMatching(/^mr_/) }],
    [
      'an event',
      '/api/v1/events',
      {
        type: 'issue.created',
        source: 'spec',
        data: { issue: { id: '1', title: 't', state: 'open', labels: [], assignees: [] } },
      },
      { duplicate: false },
    ],
  ])(
    'answers a request for %s with what it stored, and the repeat with the same',
    async (name, path, body, expected) => {
      const first = await send('POST', path, body, `key-${name.replaceAll(' ', '-')}`);
      expect(first).toMatchObject({ status: 201, body: expected });
      const again = await send('POST', path, body, `key-${name.replaceAll(' ', '-')}`);
      expect(again).toEqual(first);
    },
  );

  it('answers a new webhook with its secret, and says that its test delivery is pending', async () => {
    const body = { url: receiver.url, events: ['git.push'] };
    const first = await send('POST', '/api/v1/outbound-webhooks', body, 'webhook');
    expect(first).toMatchObject({
      status: 201,
      body: { status: 'active', secret: expect.stringMatching(/^whsec_/), testDelivery: { status: 'pending' } },
    });
    expect(await send('POST', '/api/v1/outbound-webhooks', body, 'webhook')).toEqual(first);
  });

  it('answers a saved workflow and a run of it', async () => {
    const saved = await send('PUT', '/api/v1/workflows/by-hand', { source: WORKFLOW });
    expect(saved).toMatchObject({
      status: 200,
      body: { name: 'by-hand', number: 1, source: WORKFLOW, status: 'active' },
    });
    const run = await send('POST', '/api/v1/workflows/by-hand/runs', {}, 'run');
    expect(run).toMatchObject({ status: 201, body: { workflow: 'by-hand', status: 'completed' } });
    expect(await send('POST', '/api/v1/workflows/by-hand/runs', {}, 'run')).toEqual(run);
  });

  it('says in /readyz that no worker follows, at last with 503, until one does', async () => {
    const ready = () => fetch(`${api.url}/readyz`);
    expect(await (await ready()).json()).toMatchObject({
      warnings: [expect.stringContaining('no worker follows the log')],
    });
    await waitFor('the server not to be ready', async () => (await ready()).status === 503);
    const worker = await TestServer.start({
      databaseUrl: database.url,
      env: { MILLRACE_ROLES: 'worker' },
      dataDir: api.dataDir,
    });
    try {
      await waitFor('the server to be ready', async () => (await ready()).status === 200);
      expect(await (await ready()).json()).toEqual({ status: 'ready', reasons: [] });
      // What was stored is there, once.
      for (const [path, count] of [
        ['rules', 1],
        ['integrations', 1],
        ['agents', 1],
        ['issues', 1],
        ['outbound-webhooks', 1],
        ['runs', 1],
      ] as const)
        await waitFor(path, async () => (await api.list(`/api/v1/${path}`)).length === count);
      await waitFor('the run to end', async () => {
        const [run] = await api.list<{ status: string }>('/api/v1/runs');
        return run?.status === 'completed';
      });
    } finally {
      await worker.stop();
    }
  });
});
