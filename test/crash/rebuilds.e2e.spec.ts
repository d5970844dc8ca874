import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';

import type { ProjectionAnswer, RebuildAnswer } from '#libs/events/src/shapes/audit/projection-shape.js';
import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { freePort, type ServerOptions, TestServer } from '../support/server.js';

describe('a process that dies while it rebuilds rows', () => {
  let database: TestDatabase;
  let settings: ServerOptions;
  let server: TestServer;
  beforeAll(async () => {
    database = await createTestDatabase();
    const env = { MILLRACE_SECRET_KEY: Buffer.alloc(32, 5).toString('base64') };
    settings = { databaseUrl: database.url, port: await freePort(), env };
    server = await TestServer.start(settings);
    await server.post('/api/v1/integrations', { name: 'rebuilt', provider: 'generic_webhook' });
    const rule = await server.post('/api/v1/rules', {
      ...{ name: 'rebuilt', eventType: 'webhook.received', eventSource: '*', conditions: { all: [] } },
      actions: [{ type: 'create_issue', with: { title: 'received' } }],
    });
    await server.post('/api/v1/agents', { name: 'rebuilt', runtime: 'http', config: { url: 'https://example.com/' } });
    await server.post('/api/v1/outbound-webhooks', { url: 'https://example.com/', events: ['*'], disabled: true });
    await server.post('/api/v1/issues', { title: 'rebuilt' });
    await server.call('PATCH', `/api/v1/rules/${String(rule['id'])}`, { enabled: false });
    await server.call('PUT', '/api/v1/workflows/rebuilt', {
      source: 'name: rebuilt\ntriggers: [{ type: manual }]\nsteps: [{ id: ok, approval: { title: Really } }]\n',
    });
    await server.post('/api/v1/workflows/rebuilt/runs', {});
  });
  afterAll(async () => {
    await server.stop();
    await database.drop();
  });

  const ended = (name: string, id: string): Promise<RebuildAnswer> =>
    waitFor(
      `the end of a rebuild of ${name}`,
      async () => {
        const job = await server.call<RebuildAnswer>('GET', `/api/v1/projections/${name}/rebuilds/${id}`);
        return job.status !== 'running' && job;
      },
      () => server.output,
    );
  const done = async (name: string, mode: 'rebuild' | 'verify'): Promise<RebuildAnswer> =>
    ended(name, (await server.call<RebuildAnswer>('POST', `/api/v1/projections/${name}/${mode}`)).id);

  async function rowsOf(sql: string): Promise<readonly Record<string, unknown>[]> {
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    try {
      return (await client.query<Record<string, unknown>>(sql)).rows;
    } finally {
      await client.end();
    }
  }

  it.each(['rebuild.before-slice', 'rebuild.after-slice', 'rebuild.before-swap', 'rebuild.after-swap'])(
    'at %s is followed by one that ends it; the rows are those of the log',
    async (point) => {
      await server.stop();
      server = await TestServer.start({ ...settings, env: { ...settings.env, MILLRACE_CRASH_AT: point } });
      await rowsOf(`update views.issues set title = 'forged'`);
      await server.call('POST', '/api/v1/projections/issues.views/rebuild').catch(() => undefined);
      await waitFor(
        `the server to die at ${point}`,
        () => server.exited,
        () => server.output,
      );
      expect(server.child.signalCode).toBe('SIGKILL');
      server = await TestServer.start(settings);
      const { data } = await server.call<{ data: RebuildAnswer[] }>('GET', '/api/v1/projections/issues.views/rebuilds');
      expect((await ended('issues.views', data[0]!.id)).status).toBe('rebuilt');
      expect(await rowsOf('select title from views.issues')).toEqual([{ title: 'rebuilt' }]);
      expect(await rowsOf(`select nspname from pg_namespace where nspname like 'rebuild%'`)).toEqual([]);
      const [ends] = await rowsOf(
        `select count(*)::int from views.events where type = 'projection.rebuild_ended' and subject = 'projection/issues.views'
          group by correlation order by max(position) desc limit 1`,
      );
      expect(ends).toEqual({ count: 1 });
    },
  );

  it('every projection is rebuilt with the same keys and indexes, and to the same rows', async () => {
    const shape = `
      select tablename as name, indexdef as is from pg_indexes where schemaname = 'views'
      union all select conrelid::regclass::text, conname || pg_get_constraintdef(oid) from pg_constraint
        where connamespace = 'views'::regnamespace
      union all select relname, array_to_string(reloptions, ',') from pg_class where relnamespace = 'views'::regnamespace
      union all select table_name, column_name || column_default || identity_generation from information_schema.columns
        where table_schema = 'views'
      order by 1, 2`;
    const before = await rowsOf(shape);
    const { data } = await server.call<{ data: ProjectionAnswer[] }>('GET', '/api/v1/projections');
    expect(data.length).toBeGreaterThan(10);
    for (const mode of ['verify', 'rebuild', 'verify'] as const)
      for (const { name } of data) {
        const { status, error, rows } = await done(name, mode);
        const expected = mode === 'rebuild' ? { status: 'rebuilt' } : { status: 'same', rows: [] };
        expect({ mode, name, status, error, ...(rows && { rows }) }).toEqual({ mode, name, ...expected });
      }
    expect(await rowsOf(shape)).toEqual(before);
    expect(await server.list('/api/v1/issues')).toHaveLength(1);
    expect(await server.list('/api/v1/rules')).toHaveLength(1);
  });
});
