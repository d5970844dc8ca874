import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { createTestDatabase } from '../support/database.js';
import { Receiver } from '../support/receiver.js';
import { freePort, TestServer } from '../support/server.js';

interface Run {
  readonly id: string;
  readonly status: string;
  readonly retries?: readonly object[];
  readonly children?: readonly { readonly id: string; readonly status?: string }[];
}

/** Each call fails until the receiver is mended. */
let receiver: Receiver;
let isMended = false;
beforeAll(async () => {
  receiver = await Receiver.start(() => (isMended ? 200 : 500));
});
afterAll(() => receiver.stop());

const manual = (name: string, steps: string) => ({
  source: `name: ${name}\ntriggers: [{ type: manual }]\nsteps:\n  - ${steps}\n`,
});
const begin = async (server: TestServer, name: string): Promise<string> =>
  (await server.post<Run>(`/api/v1/workflows/${name}/runs`, {})).id;
const untilStatus = (server: TestServer, id: string, status: string): Promise<Run> =>
  waitFor(
    `the run to be ${status}`,
    async () => {
      const run = await server.call<Run>('GET', `/api/v1/runs/${id}`);
      return run.status === status && run;
    },
    () => server.output,
  );

/** A server that dies at the point during the act, and another one on the same database after it. */
async function diedAt(
  point: string,
  prepare: (server: TestServer) => Promise<readonly string[]>,
  act: (server: TestServer, ids: readonly string[]) => Promise<unknown>,
  then: (server: TestServer, ids: readonly string[]) => Promise<void>,
): Promise<void> {
  const database = await createTestDatabase();
  const env = { MILLRACE_SECRET_KEY: Buffer.alloc(32, 5).toString('base64') };
  const settings = { databaseUrl: database.url, port: await freePort(), env };
  let server = await TestServer.start(settings);
  try {
    const ids = await prepare(server);
    await server.stop();
    server = await TestServer.start({ ...settings, env: { ...env, MILLRACE_CRASH_AT: point } });
    await act(server, ids).catch(() => undefined);
    await waitFor(
      `the server to die at ${point}`,
      () => server.exited,
      () => server.output,
    );
    expect(server.child.signalCode).toBe('SIGKILL');
    server = await TestServer.start(settings);
    await then(server, ids);
  } finally {
    await server.stop();
    await database.drop();
  }
}

describe('a process that dies while it retries many runs', () => {
  it.each(['runs.before-retry', 'runs.after-retry'])('at %s leaves each of them retried once', async (point) => {
    isMended = false;
    await diedAt(
      point,
      async (server) => {
        const call = `{ id: call, uses: http, with: { method: POST, url: "${receiver.url}/call" } }`;
        await server.call('PUT', '/api/v1/workflows/sync', manual('sync', call));
        const ids = [await begin(server, 'sync'), await begin(server, 'sync'), await begin(server, 'sync')];
        for (const id of ids) await untilStatus(server, id, 'failed');
        isMended = true;
        return ids;
      },
      (server) => server.post('/api/v1/runs/retry', { confirm: 3, rate: 1000 }),
      async (server, ids) => {
        for (const id of ids) expect((await untilStatus(server, id, 'completed')).retries).toHaveLength(1);
        const [request] = await waitFor(
          'the request to end',
          async () => {
            const all = await server.list<{ status: string; retried: number; refused: number }>('/api/v1/run-retries');
            return all[0]?.status === 'completed' && all;
          },
          () => server.output,
        );
        expect(request).toMatchObject({ retried: 3, refused: 0 });
      },
    );
  });
});

describe('a process that dies with a run that it has recorded and not yet called for', () => {
  it.each(['work.handed-over', 'workflows.before-step'])('at %s leaves the call to another, once', async (point) => {
    isMended = true;
    const path = `/${point}`;
    await diedAt(
      point,
      async (server) => {
        const call = `{ id: call, uses: http, with: { method: POST, url: "${receiver.url}${path}" } }`;
        await server.call('PUT', '/api/v1/workflows/begun', manual('begun', call));
        return [];
      },
      (server) => begin(server, 'begun'),
      async (server) => {
        const [run] = await waitFor(
          'the run to end',
          async () => {
            const all = await server.list<Run>('/api/v1/runs');
            return all[0]?.status === 'completed' && all;
          },
          () => server.output,
        );
        expect(run).toBeDefined();
        expect(receiver.calls.filter((call) => call.path === path)).toHaveLength(1);
      },
    );
  });
});

describe('a process that dies in the middle of a backfill', () => {
  it('goes on where it stopped when the same request comes again, and starts nothing twice', async () => {
    const path = '/api/v1/workflows/report/schedule/backfill';
    const source =
      'name: report\ntriggers: [{ type: schedule, every: 1s, catchup: none }]\nsteps: [{ uses: log, with: { message: x } }]\n';
    const backfilled = async (server: TestServer): Promise<readonly string[]> =>
      (await server.list<{ data: { at: string; late?: string } }>('/api/v1/events?type=schedule.fired'))
        .filter(({ data }) => data.late === 'backfill')
        .map(({ data }) => data.at);
    let request: { from: string; to: string; count: number };
    await diedAt(
      'schedules.after-backfill:2',
      async (server) => {
        await server.call('PUT', '/api/v1/workflows/report', { source });
        await server.post('/api/v1/workflows/report/pause', {});
        const from = new Date(Date.now() - 60_000).toISOString();
        request = await waitFor(
          'four ticks to be missed',
          async () => {
            const to = new Date().toISOString();
            const { count } = await server.call<{ count: number }>('POST', path, { from, to });
            return count >= 4 && { from, to, count };
          },
          () => server.output,
        );
        await server.post('/api/v1/workflows/report/resume', {});
        return [];
      },
      (server) => server.post(path, request),
      async (server) => {
        expect(await backfilled(server)).toHaveLength(2);
        const { count } = await server.call<{ count: number }>('POST', path, request);
        expect(count).toBe(request.count - 2);
        const fired = await backfilled(server);
        expect(new Set(fired).size).toBe(request.count);
        expect(fired).toHaveLength(request.count);
      },
    );
  });
});

describe('a process that dies while it cancels what a cancelled run had started', () => {
  it('leaves nothing going on', async () => {
    await diedAt(
      'workflows.before-close',
      async (server) => {
        await server.call('PUT', '/api/v1/workflows/child', manual('child', '{ id: nap, wait: { for: 1h } }'));
        const starts = '{ id: start, uses: workflow, with: { workflow: child } }';
        await server.call('PUT', '/api/v1/workflows/parent', manual('parent', starts));
        const id = await begin(server, 'parent');
        const parent = await waitFor(
          'the child to wait',
          async () => {
            const run = await server.call<Run>('GET', `/api/v1/runs/${id}`);
            return run.children?.[0]?.status === 'waiting' && run;
          },
          () => server.output,
        );
        return [id, parent.children![0]!.id];
      },
      (server, [parent]) => server.post(`/api/v1/runs/${parent}/cancel`, {}),
      async (server, ids) => {
        for (const id of ids) await untilStatus(server, id, 'cancelled');
        expect(await server.list<Run>('/api/v1/runs')).toHaveLength(2);
      },
    );
  });
});

describe('a process that dies when the run of another workflow has failed', () => {
  it('leaves the next attempt to another, which requests one run for it', async () => {
    await diedAt(
      'workflows.after-attempt-failed',
      async (server) => {
        await server.call(
          'PUT',
          '/api/v1/workflows/child',
          manual('child', '{ uses: fail, with: { code: a.b, message: x } }'),
        );
        const retry = 'retry: { maxAttempts: 2, delay: 1s }';
        const starts = `{ id: start, uses: workflow, with: { workflow: child }, ${retry} }`;
        await server.call('PUT', '/api/v1/workflows/parent', manual('parent', starts));
        return [];
      },
      (server) => begin(server, 'parent'),
      async (server) => {
        const failed = await waitFor(
          'all runs to end',
          async () => {
            const all = await server.list<Run & { workflow: string }>('/api/v1/runs');
            const parent = all.find(({ workflow }) => workflow === 'parent');
            return parent?.status === 'failed' && all.filter(({ workflow }) => workflow === 'child');
          },
          () => server.output,
        );
        expect(failed.map(({ status }) => status)).toEqual(['failed', 'failed']);
      },
    );
  });
});

describe('a process that dies while it cancels the branch that has lost', () => {
  it('leaves the run of the branch cancelled, and the run that had started it going on', async () => {
    await diedAt(
      'workflows.after-close',
      async (server) => {
        await server.call('PUT', '/api/v1/workflows/child', manual('child', '{ id: nap, wait: { for: 1h } }'));
        const branches = [
          '{ id: start, uses: workflow, with: { workflow: child } }',
          '{ id: hear, waitForEvent: { event: issue.created } }',
        ];
        const race = `{ race: true, parallel: [${branches.map((step) => `{ steps: [${step}] }`).join(', ')}] }`;
        const { source } = manual('parent', race);
        await server.call('PUT', '/api/v1/workflows/parent', { source: `${source}  - { wait: { for: 1h } }\n` });
        const id = await begin(server, 'parent');
        const parent = await waitFor(
          'the child to wait',
          async () => {
            const run = await server.call<Run>('GET', `/api/v1/runs/${id}`);
            return run.children?.[0]?.status === 'waiting' && run;
          },
          () => server.output,
        );
        return [id, parent.children![0]!.id];
      },
      (server) => server.post('/api/v1/issues', { title: 'It came' }),
      async (server, ids) => {
        await untilStatus(server, ids[1]!, 'cancelled');
        await untilStatus(server, ids[0]!, 'waiting');
        expect(await server.list('/api/v1/events?type=run.request_withdrawn')).toHaveLength(1);
      },
    );
  });
});

describe('a process that dies when it has kept a snapshot of a long run', () => {
  it('leaves the run to another, which goes on behind the snapshot', async () => {
    const items = JSON.stringify(Array.from({ length: 150 }, (_, index) => index + 1));
    const each = `{ id: each, forEach: ${items}, steps: [{ uses: set, with: { last: "\${{ item }}" } }] }`;
    const source = `${manual('long', each).source}  - { id: nap, wait: { for: 1s } }\noutputs: { last: "\${{ vars.last }}" }\n`;
    await diedAt(
      'workflows.after-snapshot',
      async (server) => {
        await server.call('PUT', '/api/v1/workflows/long', { source });
        return [];
      },
      (server) => begin(server, 'long'),
      async (server) => {
        const [{ id }] = (await server.list<Run>('/api/v1/runs')) as [Run];
        expect(await untilStatus(server, id, 'completed')).toMatchObject({ outputs: { last: 150 } });
      },
    );
  });
});
