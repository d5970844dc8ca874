import { describe, expect, it } from '@jest/globals';

import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { createTestDatabase } from '../../support/database.js';
import { Receiver } from '../../support/receiver.js';
import { TestServer } from '../../support/server.js';

interface Listed {
  readonly id: string;
}

describe('a delivery whose retries are used up', () => {
  it('is told to rules and to other webhooks, which act on it once', async () => {
    const database = await createTestDatabase();
    const receiver = await Receiver.start((_, { path }) => (path === '/broken' ? 500 : 200));
    const env = { MILLRACE_RETRY_SCHEDULE: '10ms,20ms' };
    const server = await TestServer.start({ databaseUrl: database.url, env });
    try {
      const webhook = (path: string, events: readonly string[]) =>
        server.post<Listed>('/api/v1/outbound-webhooks', { url: `${receiver.url}${path}`, events });
      const broken = await webhook('/broken', ['issue.created']);
      await webhook('/pager', ['webhook.exhausted']);
      await server.post('/api/v1/rules', {
        name: 'open an issue',
        eventType: 'webhook.exhausted',
        actions: [{ type: 'create_issue', with: { title: 'gave up after ${{ data.attempts }}' } }],
      });

      await server.post('/api/v1/issues', { title: 'first' });

      const told = await waitFor(
        'the other webhook to be told',
        () => receiver.calls.find(({ path, body }) => path === '/pager' && body.includes('webhook.exhausted')),
        () => server.output,
      );
      const data = (JSON.parse(told.body.toString()) as { data: object }).data;
      expect(data).toMatchObject({ webhookId: broken.id, attempts: 3 });
      await waitFor('the issue of the rule', async () =>
        (await server.list<{ title: string }>('/api/v1/issues')).some(({ title }) => title === 'gave up after 3'),
      );
      const [delivery] = await server.list<object>(
        `/api/v1/outbound-webhooks/${broken.id}/deliveries?type=issue.created`,
      );
      expect(delivery).toMatchObject({ status: 'failed', attempts: 3 });
      // The issue about it is not sent to the webhook that it is about.
      expect(await server.list<object>('/api/v1/events?type=webhook.exhausted')).toHaveLength(1);
    } finally {
      await server.stop();
      await receiver.stop();
      await database.drop();
    }
  });
});
