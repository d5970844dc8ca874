import { describe, expect, it } from '@jest/globals';

import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { createTestDatabase } from '../support/database.js';
import { githubPush, githubRequest, send } from '../support/github.js';
import { Receiver } from '../support/receiver.js';
import { TestServer } from '../support/server.js';

const SECRET = 'rate-limit-secret-0123456789';
const LIMIT = 4;
const PUSHES = 30;

describe('the rate limit of a webhook, over several processes', () => {
  it('holds when one of them is killed and another starts, and nothing is lost', async () => {
    const database = await createTestDatabase();
    const receiver = await Receiver.start();
    const settings = {
      databaseUrl: database.url,
      env: { MILLRACE_SECRET_KEY: Buffer.alloc(32, 9).toString('base64') },
    };
    const first = await TestServer.start(settings);
    const servers = [first, await TestServer.start(settings)];
    try {
      const { slug } = await first.post<{ slug: string }>('/api/v1/integrations', {
        name: 'limited',
        provider: 'github',
        secret: SECRET,
      });
      const { id } = await first.post<{ id: string }>('/api/v1/outbound-webhooks', {
        url: `${receiver.url}/hook`,
        events: ['git.push'],
        rateLimit: { limit: LIMIT, per: '1s' },
      });
      receiver.calls.length = 0;
      for (let i = 0; i < PUSHES; i++) {
        const request = githubRequest('push', githubPush(String(i)), SECRET);
        expect((await send(`${first.url}/api/v1/webhooks/inbound/${slug}`, request)).status).toBe(202);
      }

      // When the process that most likely releases is killed in the middle of it, and another one starts
      await waitFor('some of them', () => receiver.calls.length >= LIMIT + 1);
      await first.kill();
      const successor = await TestServer.start(settings);
      servers.push(successor);

      // Then all of them arrive, no faster than before
      const list = `/api/v1/outbound-webhooks/${id}/deliveries?status=success&type=git.push`;
      await waitFor(
        'every delivery to succeed',
        async () => (await successor.list(list)).length === PUSHES,
        () => successor.output,
      );
      expect(receiver.byMessage('/hook').size).toBe(PUSHES);
      const times = receiver.calls.map(({ at }) => at).sort((a, b) => a - b);
      const within = times.map((time, i) => times.slice(i).filter((other) => other < time + 1_000).length);
      expect(Math.max(...within)).toBeLessThanOrEqual(LIMIT);
      // What was under way when the process died may be repeated, once.
      expect(receiver.calls.length).toBeLessThanOrEqual(PUSHES + LIMIT);
    } finally {
      for (const server of servers) await server.stop();
      await receiver.stop();
      await database.drop();
    }
  });
});
