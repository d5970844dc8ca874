import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, it } from '@jest/globals';

import { waitFor } from '#libs/kernel/testing/wait-for.js';
import { builtInSteps } from '#libs/steps/src/built-in.js';
import { runTests, StepLibrary } from '#libs/workflows/src/trial/run-tests.js';

import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { ADMIN_TOKEN, freePort, ROOT, TestServer } from '../../support/server.js';

/** The recipe as it is in the documentation, with the double in place of the services and short delays. */
const recipe = readFileSync(join(ROOT, 'docs/workflows/recipes/after-merge.yaml'), 'utf8');
const FILES = ['a.ts', 'b.ts', 'c.ts', 'd.ts', 'e.ts', 'f.ts'];

interface Call {
  readonly path: string;
  readonly body: Record<string, unknown>;
}
/** The services that the workflow calls. The list of files is answered at the third request; checks may be held up. */
class Services {
  readonly calls: Call[] = [];
  holdChecks = true;
  private readonly server: Server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString();
      const path = request.url ?? '';
      this.calls.push({ path, body: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>) });
      const send = (status: number, body: unknown) =>
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
      if (path.endsWith('/files')) return send(this.to('/files').length < 3 ? 503 : 200, FILES);
      // Answered by no process that lives long enough to hear it.
      if (path === '/checks' && this.holdChecks && this.to('/checks').length > 2) return;
      return send(200, {});
    });
  });
  url = '';

  async start(): Promise<void> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    this.url = `http://127.0.0.1:${(this.server.address() as { port: number }).port}`;
  }
  to = (end: string): readonly Call[] => this.calls.filter(({ path }) => path.endsWith(end));
  async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }
}

let database: TestDatabase;
let server: TestServer;
const services = new Services();
beforeAll(async () => {
  await services.start();
  database = await createTestDatabase();
});
afterAll(async () => {
  await server.stop();
  await services.stop();
  await database.drop();
});

interface Run {
  readonly id: string;
  readonly status: string;
  readonly version: string;
  readonly outputs?: unknown;
  readonly children?: readonly { readonly status?: string }[];
  readonly timeline: readonly {
    readonly path: string;
    readonly status: string;
    readonly attempts: readonly object[];
  }[];
}

it('a merged pull request goes through checks, approval, comment, release and announcement, although the server is killed twice', async () => {
  const settings = {
    databaseUrl: database.url,
    port: await freePort(),
    env: { MILLRACE_SECRET_KEY: Buffer.alloc(32, 5).toString('base64') },
  };
  const restarted = async () => {
    await server.kill();
    server = await TestServer.start(settings);
  };
  const save = (name: string, source: string) => server.call('PUT', `/api/v1/workflows/${name}`, { source });
  const text = recipe
    .replaceAll(/https:\/\/(api|chat)\.example\.com/g, services.url)
    .replaceAll('delay: 10s', 'delay: 50ms');
  server = await TestServer.start(settings);
  await save(
    'publish',
    'name: publish\ntriggers: [{ type: manual, inputs: { number: { type: number } } }]\nsteps: [{ id: nap, wait: { for: 300ms } }]\noutputs: { version: "1.${{ inputs.number }}" }\n',
  );
  await save('after-merge', text);
  const { token } = await server.post<{ token: string }>('/api/v1/tokens', { name: 'ann', roles: ['designer'] });
  const example = async (type: string) => {
    const types = await server.get<{ data: { type: string; example: Record<string, unknown> }[] }>(
      '/api/v1/event-types',
    );
    return types.data.find((one) => one.type === type)!.example;
  };
  const pullRequest = (data: Record<string, unknown>, number: number) => ({
    ...data,
    pullRequest: { ...(data['pullRequest'] as object), number },
  });
  const merged = pullRequest(await example('pr.merged'), 7);
  await server.post('/api/v1/events', { type: 'pr.merged', source: 'spec', subject: 'pr/7', data: merged });
  const run = async (): Promise<Run> => {
    const [listed] = await server.list<Run>('/api/v1/runs?workflow=after-merge');
    return server.get<Run>(`/api/v1/runs/${listed!.id}`);
  };
  const until = (what: string, holds: (run: Run) => boolean) =>
    waitFor(
      what,
      async () => {
        const now = await run();
        if (now.status === 'failed') throw new Error(JSON.stringify(now));
        return holds(now) && now;
      },
      () => server.output,
    );

  // Killed while it checks files: two are checked, and four are under way.
  const checkedBefore = ({ timeline }: Run): readonly string[] =>
    timeline.filter(({ path, status }) => path.endsWith('.check') && status === 'completed').map(({ path }) => path);
  await waitFor('checks to hang', () => Promise.resolve(services.to('/checks').length === FILES.length));
  const held = await until('two checks', (now) => checkedBefore(now).length === 2);
  const done = FILES.filter((_, index) => checkedBefore(held).includes(`each[${index}].check`));
  services.holdChecks = false;
  await restarted();

  // Edited, and killed again, while the run waits for the approval.
  const waiting = await until('the approval', ({ timeline }) =>
    timeline.some(({ path, status }) => path === 'ok' && status === 'waiting'),
  );
  await save('after-merge', text.replace('/hooks/releases', '/hooks/other'));
  await restarted();
  const decision = await fetch(`${server.url}/api/v1/runs/${waiting.id}/approvals/ok`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ decision: 'approve' }),
  });
  expect(decision.status).toBe(200);

  await until('the wait for a comment', ({ timeline }) => timeline.some(({ path }) => path === 'note'));
  const comment = await example('comment.created');
  for (const number of [8, 7])
    await server.post('/api/v1/events', {
      type: 'comment.created',
      source: 'spec',
      subject: `pr/${number}`,
      data: {
        ...pullRequest(comment, number),
        comment: { ...(comment['comment'] as object), body: `About ${number}` },
      },
    });

  const ended = await until('the end', ({ status }) => status === 'completed');
  expect(ended).toMatchObject({
    version: waiting.version,
    outputs: { checked: 6, failed: 0, approvedBy: expect.stringMatching(/^token\//), version: '1.7', announced: true },
  });
  expect(ended.children).toMatchObject([{ status: 'completed' }]);
  // Only checks that were under way at the first death were repeated.
  const checked = services.to('/checks').map(({ body }) => String(body['file']));
  expect(new Set(checked)).toEqual(new Set(FILES));
  for (const file of FILES) expect(checked.filter((one) => one === file)).toHaveLength(done.includes(file) ? 1 : 2);
  expect(services.to('/files')).toHaveLength(3);
  expect(services.to('/hooks/releases').map(({ body }) => body)).toEqual([{ released: '1.7', note: 'About 7' }]);
  expect(services.to('/hooks/other')).toEqual([]);

  // What the run did becomes a test, and its tests pass without a server.
  const exported = spawnSync(
    process.execPath,
    ['apps/cli/bin/millrace.mjs', '--url', server.url, '--token', ADMIN_TOKEN, 'run', 'export', ended.id, '--as-test'],
    { cwd: ROOT, encoding: 'utf8' },
  );
  expect(exported).toMatchObject({ status: 0, stderr: '' });
  const library = new StepLibrary(builtInSteps);
  const again = runTests(text, exported.stdout, library);
  expect(again.ok ? again.results.flatMap(({ failures }) => failures) : again.problems).toEqual([]);
  expect(again).toMatchObject({ ok: true, results: [{ passed: true }] });
});
