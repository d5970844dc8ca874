import { createHmac } from 'node:crypto';

import { describe, expect, it } from '@jest/globals';

import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { createTestDatabase } from '../support/database.js';
import { freePort, TestServer } from '../support/server.js';

const OFFERED = 'secret-that-asana-gives-away';
const BODY = JSON.stringify({ events: [{ action: 'changed', resource: { gid: '1', resource_type: 'task' } }] });

describe('a process that dies while it keeps the secret of a sender', () => {
  it.concurrent.each(['intake.before-adopt', 'intake.after-adopt'])(
    'has it once the sender asks again after dying at %s',
    async (point) => {
      const database = await createTestDatabase();
      const settings = { databaseUrl: database.url, port: await freePort() };
      const env = { MILLRACE_SECRET_KEY: Buffer.alloc(32, 5).toString('base64') };
      let server = await TestServer.start({ ...settings, env: { ...env, MILLRACE_CRASH_AT: point } });
      try {
        const { id, slug } = await server.post<{ id: string; slug: string }>('/api/v1/integrations', {
          name: 'asana',
          provider: 'generic_webhook',
          preset: 'asana',
        });
        const send = async (body: string, headers: Record<string, string>): Promise<Response> =>
          fetch(`${server.url}/api/v1/webhooks/inbound/${slug}`, {
            method: 'POST',
            body,
            headers: { 'content-type': 'application/json', ...headers },
          });
        const offer = (secret: string) => send('{}', { 'x-hook-secret': secret });
        await offer(OFFERED).catch(() => undefined);
        await waitFor(
          `the server to die at ${point}`,
          () => server.exited,
          () => server.output,
        );
        expect(server.child.signalCode).toBe('SIGKILL');
        server = await TestServer.start({ ...settings, env });

        const again = await offer(OFFERED);
        expect([again.status, again.headers.get('x-hook-secret')]).toEqual([200, OFFERED]);
        expect((await offer('secret-of-somebody-else')).status).toBe(401);
        const signature = createHmac('sha256', OFFERED).update(BODY).digest('hex');
        expect((await send(BODY, { 'x-hook-signature': signature })).status).toBe(200);
        const events = await server.list<{ type: string; data: object }>(
          `/api/v1/events?type=integration.handshake_adopted`,
        );
        expect(events).toHaveLength(1);
        expect(JSON.stringify(events)).not.toContain(OFFERED);
        expect(await server.get(`/api/v1/integrations/${id}/handshake`)).toMatchObject({ status: 'done' });
        expect(server.output).not.toContain(OFFERED);
      } finally {
        await server.stop();
        await database.drop();
      }
    },
  );
});
