import { describe, expect, it } from '@jest/globals';

import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { createTestDatabase } from '../support/database.js';
import { githubPush, githubRequest, send } from '../support/github.js';
import { Receiver } from '../support/receiver.js';
import { TestServer } from '../support/server.js';
import { TcpProxy } from '../support/tcp-proxy.js';

const SECRET = 'outage-secret-0123456789';

describe.each(['refuse', 'freeze'] as const)('a database that goes away (connections %sd)', (how) => {
  it('makes ingest answer 503 with Retry-After, loses nothing, and is used again when it is back', async () => {
    const database = await createTestDatabase();
    const { proxy, url: databaseUrl } = await TcpProxy.inFrontOf(database.url);
    const receiver = await Receiver.start();
    let running: TestServer | undefined;
    try {
      const server = (running = await TestServer.start({
        databaseUrl,
        env: { MILLRACE_SECRET_KEY: Buffer.alloc(32, 9).toString('base64') },
      }));
      const { slug } = await server.post<{ slug: string }>('/api/v1/integrations', {
        name: 'outage',
        provider: 'github',
        secret: SECRET,
      });
      const webhook = await server.post<{ id: string }>('/api/v1/outbound-webhooks', {
        url: `${receiver.url}/hook`,
        events: ['git.push'],
      });
      const url = `${server.url}/api/v1/webhooks/inbound/${slug}`;
      const push = () => githubRequest('push', githubPush(), SECRET);
      const before = push();
      expect((await send(url, before)).status).toBe(202);

      // When the database goes away
      proxy[how]();
      const during = push();
      const refused = await send(url, during);
      expect(refused.status).toBe(503);
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
      expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
      await waitFor('/readyz to say so', async () => (await fetch(`${server.url}/readyz`)).status === 503);

      // And comes back
      proxy.restore();
      const answer = await waitFor(
        'ingest to answer 202 again',
        async () => {
          const again = await send(url, during);
          return again.status === 202 && again;
        },
        () => server.output,
      );
      const { eventIds } = (await answer.json()) as { eventIds: string[] };

      // Then everything that was accepted is delivered, once
      await waitFor(
        'both deliveries',
        async () => {
          const done = await server.list<{ eventType: string }>(
            `/api/v1/outbound-webhooks/${webhook.id}/deliveries?status=success&type=git.push`,
          );
          return done.length === 2;
        },
        () => server.output,
      );
      expect((await server.list('/api/v1/events?type=git.push')).length).toBe(2);
      const ids = receiver.calls.map((call) => (JSON.parse(call.body.toString()) as { id: string }).id);
      expect(ids.filter((id) => id === eventIds[0])).toHaveLength(1);
    } finally {
      await running?.stop();
      await proxy.stop();
      await receiver.stop();
      await database.drop();
    }
  });
});
