import { readFileSync } from 'node:fs';
import { createHmac } from 'node:crypto';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { TestServer } from '../../support/server.js';

interface Saved {
  readonly webhook: { readonly integrationId: string; readonly url: string; readonly secret?: string };
}
interface Answer {
  readonly eventIds: readonly string[];
  readonly duplicate: boolean;
  readonly runId?: string;
  readonly url?: string;
  readonly status?: string;
  readonly outputs?: object;
}

/** The example of the page. */
const PRICE = /^```yaml\n(name: price\n.*?)^```$/ms.exec(
  readFileSync(new URL('../../../docs/workflows/triggers.md', import.meta.url), 'utf8'),
)![1]!;
const ITEMS = { items: [{ price: 4 }, { price: 6 }] };

describe('a workflow with a webhook trigger', () => {
  let database: TestDatabase;
  let api: TestServer;
  let worker: TestServer;
  beforeAll(async () => {
    database = await createTestDatabase();
    const env = { MILLRACE_SECRET_KEY: Buffer.alloc(32, 5).toString('base64') };
    // The process that is asked runs no workflows.
    worker = await TestServer.start({ databaseUrl: database.url, env: { ...env, MILLRACE_ROLES: 'worker' } });
    api = await TestServer.start({ databaseUrl: database.url, env: { ...env, MILLRACE_ROLES: 'api' } });
  });
  afterAll(async () => {
    await api?.stop();
    await worker?.stop();
    await database.drop();
  });

  const save = (name: string, source: string) => api.call<Saved>('PUT', `/api/v1/workflows/${name}`, { source });
  async function send(webhook: Saved['webhook'], secret: string, payload: unknown, key?: string) {
    const body = JSON.stringify(payload);
    const answer = await fetch(webhook.url.replace(/^https?:\/\/[^/]+/, api.url), {
      method: 'POST',
      body,
      headers: {
        'content-type': 'application/json',
        'x-webhook-signature': `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`,
        ...(key !== undefined && { 'idempotency-key': key }),
      },
    });
    return { status: answer.status, body: (await answer.json()) as Answer };
  }

  it('has an address and a secret from its save on, and answers with the outputs of the run', async () => {
    const { webhook } = await save('price', PRICE);
    const { secret } = webhook;
    expect(secret).toHaveLength(32);
    const first = await send(webhook, secret!, ITEMS, 'order-17');
    expect(first).toMatchObject({
      status: 200,
      body: { duplicate: false, status: 'completed', outputs: { total: 10 } },
    });
    expect(await api.get(`/api/v1/runs/${first.body.runId}`)).toMatchObject({
      trigger: 'webhook',
      eventId: first.body.eventIds[0],
    });
    const again = await send(webhook, secret!, ITEMS, 'order-17');
    expect(again).toEqual({ status: 200, body: { ...first.body, duplicate: true } });
    expect((await send(webhook, 'another-secret', ITEMS)).status).toBe(401);
    const runs = await waitFor('the run to be listed', async () => {
      const all = await api.list('/api/v1/runs?workflow=price&trigger=webhook');
      return all.length > 0 && all;
    });
    expect(runs).toHaveLength(1);

    // Another version has the same address, and nobody is shown the secret again.
    const later = await save('price', PRICE.replace('total:', 'sum:'));
    expect(later.webhook).toEqual({ integrationId: webhook.integrationId, url: webhook.url });
    expect(await api.get('/api/v1/workflows/price')).toMatchObject({ webhook: later.webhook });
    expect(await send(webhook, secret!, ITEMS)).toMatchObject({ status: 200, body: { outputs: { sum: 10 } } });
    expect(JSON.stringify(await api.list('/api/v1/events?type=integration.*'))).not.toContain(secret);
    expect(api.output + worker.output).not.toContain(secret);

    // A request that does not fit starts nothing, says so at once, and leaves a decision.
    const unfit = await send(webhook, secret!, { items: [] });
    expect(unfit).toEqual({ status: 202, body: { eventIds: [expect.any(String)], duplicate: false } });
    const [decision] = await waitFor('the decision', async () => {
      const all = await api.list<object>(`/api/v1/events/${unfit.body.eventIds[0]}/decisions`);
      return all.length > 0 && all;
    });
    expect(decision).toMatchObject({
      kind: 'workflow',
      outcome: 'not_matched',
      failed: { pointer: '/triggers/0/when' },
    });

    await expect(api.call('DELETE', `/api/v1/integrations/${webhook.integrationId}`)).rejects.toThrow(
      'integration.of_workflow',
    );
    await api.call('DELETE', '/api/v1/workflows/price');
    await waitFor('the address to be closed', async () => (await send(webhook, secret!, ITEMS)).status === 404);
  });

  it('starts by requests to an integration that it names', async () => {
    const secret = 'orders-secret-0123';
    const { url } = await api.post<{ url: string }>('/api/v1/integrations', {
      name: 'orders',
      provider: 'generic_webhook',
      secret,
    });
    const named = 'triggers: [{ type: webhook, integration: orders }]\nsteps: [{ uses: log, with: { message: hi } }]\n';
    for (const name of ['one', 'two'])
      expect(await save(name, `name: ${name}\n${named}`)).not.toHaveProperty('webhook');
    const { status, body } = await send({ integrationId: '', url }, secret, ITEMS);
    expect([status, Object.keys(body)]).toEqual([202, ['eventIds', 'duplicate']]);
    const runs = await waitFor('both runs', async () => {
      const all = await api.list<{ eventId: string; workflow: string }>('/api/v1/runs?trigger=webhook');
      const ours = all.filter(({ eventId }) => eventId === body.eventIds[0]);
      return ours.length === 2 && ours;
    });
    expect(runs.map(({ workflow }) => workflow).sort()).toEqual(['one', 'two']);
  });
});
