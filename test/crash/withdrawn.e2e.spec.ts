import { describe, expect, it } from '@jest/globals';

import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { createTestDatabase } from '../support/database.js';
import { HttpDouble } from '../support/doubles/chat-doubles.js';
import { freePort, TestServer } from '../support/server.js';

interface Listed {
  readonly data: { readonly error?: { readonly code: string } };
}
const WORKFLOW = `name: tell
triggers: [{ type: manual }]
steps: [{ uses: send_message, with: { integration: chat, channel: C1, text: Hello } }]
`;
// Nothing is retried by itself while the test runs.
const env = { MILLRACE_SECRET_KEY: Buffer.alloc(32, 5).toString('base64'), MILLRACE_ACTION_RETRY_SCHEDULE: '1d' };

describe('a process that dies while it withdraws a message of a cancelled run', () => {
  it.concurrent.each(['actions.before-withdraw', 'actions.after-withdraw'])(
    'has withdrawn it once after dying at %s',
    async (point) => {
      const database = await createTestDatabase();
      const slack = await HttpDouble.start(() => ({ status: 503, body: {} }));
      const settings = { databaseUrl: database.url, port: await freePort() };
      let server = await TestServer.start({ ...settings, env: { ...env, MILLRACE_CRASH_AT: point } });
      try {
        await server.post('/api/v1/integrations', {
          name: 'chat',
          provider: 'slack',
          secret: 'signing-secret-of-the-app',
          config: { botToken: 'xoxb-test', apiUrl: `${slack.url}/api` },
        });
        await server.call('PUT', '/api/v1/workflows/tell', { source: WORKFLOW });
        const { id } = await server.post<{ id: string }>('/api/v1/workflows/tell/runs', {});
        await waitFor(
          'the first attempt to fail',
          async () => (await server.list('/api/v1/events?type=message.attempt_failed')).length === 1,
          () => server.output,
        );
        const calls = slack.calls.length;
        await server.post(`/api/v1/runs/${id}/cancel`, {}).catch(() => undefined);
        await waitFor(
          'the server to die',
          () => server.exited,
          () => server.output,
        );
        expect(server.child.signalCode).toBe('SIGKILL');

        server = await TestServer.start({ ...settings, env });
        const failed = await waitFor(
          'the message to be withdrawn',
          async () => {
            const found = await server.list<Listed>('/api/v1/events?type=message.failed');
            return found.length > 0 && found;
          },
          () => server.output,
        );
        expect(failed.map(({ data }) => data.error?.code)).toEqual(['message.withdrawn']);
        await waitFor(
          'nothing to be pending',
          async () => (await server.list('/api/v1/actions')).length === 0,
          () => server.output,
        );
        expect(await server.list('/api/v1/events?type=message.failed')).toHaveLength(1);
        expect(await server.call('GET', `/api/v1/runs/${id}`)).toMatchObject({ status: 'cancelled' });
        expect(slack.calls).toHaveLength(calls);
      } finally {
        await server.stop();
        await slack.stop();
        await database.drop();
      }
    },
  );
});
