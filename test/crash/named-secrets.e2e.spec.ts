import { describe, expect, it } from '@jest/globals';
import pg from 'pg';

import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { createTestDatabase } from '../support/database.js';
import { freePort, TestServer } from '../support/server.js';

describe('a process that dies while a secret is set or removed', () => {
  it.concurrent.each(['access.secret-stored', 'access.before-forget', 'access.after-forget'])(
    'leaves the last value and no other after dying at %s',
    async (point) => {
      const database = await createTestDatabase();
      const settings = { databaseUrl: database.url, port: await freePort() };
      const env = { MILLRACE_SECRET_KEY: Buffer.alloc(32, 5).toString('base64') };
      let server = await TestServer.start({ ...settings, env: { ...env, MILLRACE_CRASH_AT: point } });
      const set = (value: string) => server.call('PUT', '/api/v1/secrets/API_KEY', { value });
      /** Values that an event names. */
      const kept = async (): Promise<number> => {
        const client = new pg.Client({ connectionString: database.url });
        await client.connect();
        const { rows } = await client.query(`select 1 from views.secrets where reference like 'sec\\_%/value/%'`);
        await client.end();
        return rows.length;
      };
      try {
        await set('the first value').catch(() => undefined);
        await waitFor(
          `the server to die at ${point}`,
          () => server.exited,
          () => server.output,
        );
        expect(server.child.signalCode).toBe('SIGKILL');
        server = await TestServer.start({ ...settings, env });
        const names = (await server.list<{ name: string }>('/api/v1/secrets')).map(({ name }) => name);
        // Set or not, never half: a value that no event names is used by nobody.
        expect(names).toEqual(point === 'access.secret-stored' ? [] : ['API_KEY']);
        await set('the second value');
        const orphans = point === 'access.secret-stored' ? 1 : 0;
        // A value that was in force is kept: what comes back may still have it.
        await waitFor('two values to be kept', async () => (await kept()) === 2);
        await server.call('DELETE', '/api/v1/secrets/API_KEY');
        await waitFor('the values to be deleted', async () => (await kept()) === orphans);
        expect(await server.list('/api/v1/secrets')).toEqual([]);
      } finally {
        await server.stop();
        await database.drop();
      }
    },
  );
});
