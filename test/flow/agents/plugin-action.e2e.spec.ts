import { execFile } from 'node:child_process';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { Receiver } from '../../support/receiver.js';
import { ROOT, TestServer } from '../../support/server.js';

/** docs/examples/action-pager as a package outside the repository, and a pager that is busy at the first call. */
const TOKEN = 'pager-token-that-nobody-may-read';

let folder: string;
let database: TestDatabase;
let pager: Receiver;
let server: TestServer | undefined;

const run = (command: string, ...args: string[]): Promise<{ code: unknown; out: string }> =>
  new Promise((resolve) => {
    execFile(command, args, { cwd: folder }, (error, out, err) =>
      resolve({ code: error ? (error.code ?? -1) : 0, out: out + err }),
    );
  });

/** Each server has a data folder of its own; the secrets in their database are the same. */
const KEY = Buffer.alloc(32, 7).toString('base64');

beforeAll(async () => {
  folder = join(await mkdtemp(join(tmpdir(), 'millrace-action-')), 'pager');
  await cp(join(ROOT, 'docs/examples/action-pager'), folder, { recursive: true });
  const installed = await run('npm', 'install', '--no-save', '--offline', '--no-audit', '--no-fund', ROOT);
  if (installed.code !== 0) throw new Error(installed.out);
  database = await createTestDatabase();
  pager = await Receiver.start((nth) => (nth === 1 ? 503 : 200));
});
afterAll(async () => {
  await server?.stop();
  await pager.stop();
  await database.drop();
  await rm(join(folder, '..'), { recursive: true, force: true });
});

async function start(more: Record<string, string>): Promise<TestServer> {
  await server?.stop();
  const env = { MILLRACE_ACTION_RETRY_SCHEDULE: '50ms,100ms', MILLRACE_SECRET_KEY: KEY, ...more };
  return (server = await TestServer.start({ databaseUrl: database.url, env }));
}
const withPlugin = () => start({ MILLRACE_PLUGINS: folder, PAGER_URL: `${pager.url}/pages`, PAGER_TOKEN: TOKEN });

const rule = (type: string) => ({
  name: 'page for the database',
  eventType: 'webhook.received',
  conditions: { field: 'data.payload.severity', operator: 'equals', value: 'critical' },
  actions: [{ type, with: { team: 'db', text: '${{ data.payload.message }}' } }],
});
const alert = async (on: TestServer, message: string): Promise<string> => {
  const data = { provider: 'tests', payload: { severity: 'critical', message } };
  return (await on.post<{ id: string }>('/api/v1/events', { type: 'webhook.received', source: 'tests', data })).id;
};

interface Listed {
  readonly id: string;
  readonly type: string;
  readonly data: Record<string, unknown>;
}
const eventsOf = (on: TestServer, type: string) => on.list<Listed>(`/api/v1/events?type=${type}`);
const completed = (on: TestServer, count: number) =>
  waitFor(
    `${count} actions to be completed`,
    async () => {
      const found = await eventsOf(on, 'action.completed');
      return found.length >= count && found;
    },
    () => on.output,
  );

describe('an action of a plug-in', () => {
  let saved: string;

  it('may be named by no rule where its plug-in is not loaded', async () => {
    const without = await start({});
    await expect(without.post('/api/v1/rules', rule('page-on-call'))).rejects.toThrow(
      /422.*Must be one of create_issue.*send_message/,
    );
  });

  it('is carried out, after a failure again with the same key, and the trace tells it all', async () => {
    const on = await withPlugin();
    await expect(on.post('/api/v1/rules', rule('page-on-cal'))).rejects.toThrow(/Did you mean \\"page-on-call\\"/);
    const tooMuch = { ...rule('page-on-call'), actions: [{ type: 'page-on-call', with: { team: 'db', txt: 'x' } }] };
    await expect(on.post('/api/v1/rules', tooMuch)).rejects.toThrow(/actions\/0\/with\/txt.*Did you mean \\"text\\"/);
    saved = (await on.post<Listed>('/api/v1/rules', rule('page-on-call'))).id;
    const schema = await on.get('/schemas/rule.json');
    expect(JSON.stringify(schema)).toContain('"const":"page-on-call"');

    const eventId = await alert(on, 'disk full');
    const [done] = await completed(on, 1);
    expect(done).toMatchObject({ data: { action: 'page-on-call', output: { page: 'ok' }, attempts: 2, eventId } });
    expect(pager.calls.map(({ status, body }) => [status, JSON.parse(body.toString()) as unknown])).toEqual([
      [503, { team: 'db', text: 'disk full' }],
      [200, { team: 'db', text: 'disk full' }],
    ]);
    expect(new Set(pager.calls.map(({ headers }) => headers['idempotency-key'])).size).toBe(1);
    expect(pager.calls[0]!.headers.authorization).toBe(`Bearer ${TOKEN}`);

    const decisions = await on.list<{ actions: unknown }>(`/api/v1/rules/${saved}/decisions`);
    expect(decisions.map(({ actions }) => actions)).toEqual([
      [{ type: 'page-on-call', requestId: done!.data['requestId'] }],
    ]);
    interface Node {
      readonly type: string;
      readonly children: readonly Node[];
    }
    const { root } = await on.get<{ root: Node }>(`/api/v1/events/${eventId}/trace`);
    const asked = root.children.find(({ type }) => type === 'action.requested')!;
    expect(asked.children.map(({ type }) => type)).toEqual(['action.failed', 'action.completed']);
  });

  it('waits while its plug-in is gone, and is carried out when it is back', async () => {
    const without = await start({});
    await alert(without, 'disk fuller');
    const pending = await waitFor('the action to be pending', async () => {
      const found = await without.list<Listed>('/api/v1/actions?status=pending&type=action');
      return found.length > 0 && found;
    });
    expect(pending).toMatchObject([{ type: 'action', status: 'pending', details: { action: 'page-on-call' } }]);
    expect(await eventsOf(without, 'action.completed')).toHaveLength(1);

    const back = await withPlugin();
    const done = await completed(back, 2);
    expect(done.map(({ data }) => data['requestId'])).toContain(pending[0]!.id);
    expect(await back.list('/api/v1/actions?status=pending')).toEqual([]);
    expect(await back.list(`/api/v1/rules/${saved}/decisions`)).toHaveLength(2);
  });

  it('tells nobody its secrets', async () => {
    const all = JSON.stringify(await server!.list('/api/v1/events?type=action.*'));
    expect(all).toContain('action.failed');
    expect(all).not.toContain(TOKEN);
    expect(server!.output).not.toContain(TOKEN);
  });
});
