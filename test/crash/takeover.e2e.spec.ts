import { describe, expect, it } from '@jest/globals';

import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { createTestDatabase } from '../support/database.js';
import { githubPush, githubRequest, send } from '../support/github.js';
import { Receiver } from '../support/receiver.js';
import { TestServer } from '../support/server.js';

const SECRET = 'takeover-secret-0123456789';
interface Delivery {
  readonly eventId: string;
  readonly status: string;
}

describe('two processes on one PostgreSQL', () => {
  it('share the work, and when one is killed the other takes over, with nothing done twice', async () => {
    const database = await createTestDatabase();
    const receiver = await Receiver.start((nth, { path }) => (path === '/flaky' && nth === 1 ? 500 : 200));
    const env = {
      MILLRACE_RETRY_SCHEDULE: '200ms,400ms,800ms',
      MILLRACE_SECRET_KEY: Buffer.alloc(32, 7).toString('base64'),
    };
    const first = await TestServer.start({ databaseUrl: database.url, env });
    const second = await TestServer.start({ databaseUrl: database.url, env });
    try {
      const { slug } = await first.post<{ slug: string }>('/api/v1/integrations', {
        name: 'takeover',
        provider: 'github',
        secret: SECRET,
      });
      const webhook = await first.post<{ id: string }>('/api/v1/outbound-webhooks', {
        url: `${receiver.url}/flaky`,
        events: ['git.push'],
      });
      // A process learns of what another has written by following the log.
      const inbound = (server: TestServer) => `${server.url}/api/v1/webhooks/inbound/${slug}`;
      await waitFor('the second process to know the integration', async () => {
        const probe = await send(inbound(second), githubRequest('ping', { zen: 'x' }, SECRET));
        return probe.status === 202;
      });

      // Given work in flight on both, when the first is killed
      const events = new Set<string>();
      const push = async (server: TestServer) => {
        const answer = await send(inbound(server), githubRequest('push', githubPush(), SECRET));
        expect(answer.status).toBe(202);
        events.add(((await answer.json()) as { eventIds: string[] }).eventIds[0]!);
      };
      for (let i = 0; i < 20; i++) await Promise.all([push(first), push(second)]);
      await first.kill();
      for (let i = 0; i < 20; i++) await push(second);

      // Then the second finishes all of it
      await waitFor(
        'every delivery to succeed',
        async () => {
          const deliveries = await second.list<Delivery>(
            `/api/v1/outbound-webhooks/${webhook.id}/deliveries?status=success`,
          );
          return deliveries.filter((delivery) => events.has(delivery.eventId)).length === events.size;
        },
        () => second.output,
      );
      const ready = await second.get<{ subscribers: { name: string; active: boolean }[] }>('/readyz');
      expect(ready.subscribers.length).toBeGreaterThan(3);
      expect(ready.subscribers.filter((subscriber) => !subscriber.active)).toEqual([]);

      const accepted = receiver.calls.filter((call) => call.status === 200);
      const perEvent = new Map<string, number>();
      for (const call of accepted) {
        const { id } = JSON.parse(call.body.toString()) as { id: string };
        if (events.has(id)) perEvent.set(id, (perEvent.get(id) ?? 0) + 1);
      }
      expect(perEvent.size).toBe(events.size);
      // What was between its call and its record when the process died may be repeated; nothing else.
      const repeated = [...perEvent.values()].filter((count) => count > 1).length;
      expect(repeated).toBeLessThanOrEqual(8);
      const runs = await second.list<{ id: string; status: string }>('/api/v1/runs');
      expect(new Set(runs.map((run) => run.id)).size).toBe(runs.length);
    } finally {
      await first.kill();
      await second.stop();
      await receiver.stop();
      await database.drop();
    }
  });
});
