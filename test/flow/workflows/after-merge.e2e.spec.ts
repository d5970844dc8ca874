import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { main } from '#apps/cli/src/main.js';
import { runVerbs } from '#apps/cli/src/run/run-verbs.js';
import { versionVerbs } from '#apps/cli/src/workflow/version-verbs.js';
import { workflowVerbs } from '#apps/cli/src/workflow/workflow-verbs.js';
import { waitFor } from '#libs/kernel/testing/wait-for.js';
import { builtInSteps } from '#libs/steps/src/built-in.js';
import { runTests, StepLibrary } from '#libs/workflows/src/trial/run-tests.js';

import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { SlackDouble } from '../../support/doubles/chat-doubles.js';
import { ADMIN_TOKEN, freePort, ROOT, TestServer } from '../../support/server.js';

/** The recipe as it is in the documentation, with the double in place of the services and short delays. */
const recipe = readFileSync(join(ROOT, 'docs/workflows/recipes/after-merge.yaml'), 'utf8');
/** The id of #ops. */
const OPS = 'C024BE91L';
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
let slack: SlackDouble;
const services = new Services();
beforeAll(async () => {
  await services.start();
  slack = await SlackDouble.start();
  database = await createTestDatabase();
});
afterAll(async () => {
  await server.stop();
  await services.stop();
  await slack.stop();
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
    .replaceAll('https://api.example.com', services.url)
    .replaceAll('delay: 10s', 'delay: 50ms')
    .replace('#releases', '#ops');
  server = await TestServer.start(settings);
  await save(
    'publish',
    'name: publish\ntriggers: [{ type: manual, inputs: { number: { type: number } } }]\nsteps: [{ id: nap, wait: { for: 300ms } }]\noutputs: { version: "1.${{ inputs.number }}" }\n',
  );
  await save('after-merge', text);
  await server.post('/api/v1/integrations', {
    name: 'chat',
    provider: 'slack',
    secret: 'signing-secret-of-the-app',
    config: { botToken: SlackDouble.TOKEN, apiUrl: slack.apiUrl },
  });
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
  let now: Run;
  const until = (what: string, holds: (run: Run) => boolean) =>
    waitFor(
      what,
      async () => {
        now = await run();
        if (now.status === 'failed') throw new Error(JSON.stringify(now));
        return holds(now) && now;
      },
      () => `${JSON.stringify(now.timeline.at(-1))}\n${server.output}`,
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
  await save('after-merge', text.replace('#ops', '#dev'));
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
    outputs: {
      checked: 6,
      failed: 0,
      approvedBy: expect.stringMatching(/^token\//),
      version: '1.7',
      message: expect.any(String),
    },
  });
  expect(ended.children).toMatchObject([{ status: 'completed' }]);
  // Only checks that were under way at the first death were repeated.
  const checked = services.to('/checks').map(({ body }) => String(body['file']));
  expect(new Set(checked)).toEqual(new Set(FILES));
  for (const file of FILES) expect(checked.filter((one) => one === file)).toHaveLength(done.includes(file) ? 1 : 2);
  expect(services.to('/files')).toHaveLength(3);
  expect(slack.messages).toMatchObject([{ channel: OPS, text: 'Released 1.7. About 7' }]);

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

describe('the command line', () => {
  const used = new Set<string>();
  let folder: string;
  let ann: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'millrace-runs-'));
    ({ token: ann } = await server.post<{ token: string }>('/api/v1/tokens', {
      name: 'approver',
      roles: ['designer'],
    }));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  /** A verb, in this process. @returns what it prints; fails unless it ends with the code. */
  async function millrace(args: readonly string[], { token = ADMIN_TOKEN, code = 0 } = {}): Promise<string> {
    used.add(
      args
        .filter((arg) => !arg.startsWith('-'))
        .slice(0, 2)
        .join(' '),
    );
    let [out, err] = ['', ''];
    const ended = await main(args, {
      env: { MILLRACE_URL: server.url, MILLRACE_TOKEN: token, XDG_CONFIG_HOME: folder },
      out: { write: (text) => (out += text) },
      err: { write: (text) => (err += text) },
    });
    expect({ args, ended, err: ended === code ? '' : err }).toEqual({ args, ended: code, err: '' });
    return (out + err).trimEnd();
  }
  const quiet = (...args: string[]) => millrace(['--quiet', ...args]);
  const file = async (name: string, content: string): Promise<string> => {
    await writeFile(join(folder, name), content);
    return join(folder, name);
  };
  const asks = (id: string) =>
    waitFor('the run to ask', async () => (await quiet('run', 'approvals', '--run', id)) === `${id} ok`);

  const hello = `name: hello
labels: { team: cli }
triggers: [{ type: manual, inputs: { to: { type: string, default: you } } }, { type: schedule, every: 1h }]
steps: [{ id: ok, approval: { title: 'Hello, \${{ inputs.to }}?', form: { slots: { type: number, required: true } } } }]
outputs: { slots: '\${{ steps.ok.output.form.slots }}' }
`;

  it('saves, checks, compares, pauses and archives workflows', async () => {
    const first = await file('hello.yaml', hello);
    await file(
      'hello.test.yaml',
      'tests: [{ name: says hello, inputs: {}, mocks: { ok: { output: { form: { slots: 2 } } } }, expect: { outputs: { slots: 2 } } }]\n',
    );
    const second = await file('changed.yaml', hello.replace('Hello,', 'Good day,'));
    expect(await millrace(['workflow', 'validate', first])).toContain('is valid');
    await millrace(['workflow', 'lint', first]);
    expect(await millrace(['workflow', 'schema'])).toMatch(/"chat"[^]*"publish"/);
    expect(await millrace(['workflow', 'schema', '--tests'])).toContain('"mocks"');
    expect(await millrace(['workflow', 'test', first])).toContain('says hello');
    expect(await millrace(['workflow', 'create', first])).toContain('"hello" is active');
    expect(await millrace(['workflow', 'view', 'hello'])).toBe(hello.trimEnd());
    await millrace(['workflow', 'update', second]);
    expect((await millrace(['workflow', 'versions', 'hello'])).split('\n')).toHaveLength(3);
    expect(await millrace(['workflow', 'diff', 'hello'])).toContain('changed: ok (approval)');
    expect(await millrace(['workflow', 'graph', 'hello', '--format', 'dot'])).toContain('digraph');
    expect(await millrace(['workflow', 'activate', 'hello', '1'])).toContain('uses version 1');
    expect((await quiet('workflow', 'schedule', 'hello')).split('\n')).toHaveLength(10);
    expect(await quiet('workflow', 'ls', '--label', 'team=cli')).toBe('hello');
    await millrace(['workflow', 'pause', 'hello']);
    expect(await quiet('workflow', 'ls', '--paused')).toBe('hello');
    expect(await millrace(['workflow', 'schedule', 'hello'])).toBe('"hello" is paused: its schedules start no runs.');
    const range = ['--from', '2026-01-01T00:00:00Z', '--to', new Date().toISOString()];
    expect(await quiet('workflow', 'backfill', 'hello', ...range, '--dry-run')).toBe('0');
    await millrace(['workflow', 'resume', 'hello']);
    expect(await quiet('workflow', 'ls', '--paused')).toBe('');
    expect(await millrace(['workflow', 'apply', first])).toContain('hello');
    expect(await millrace(['workflow', 'why', 'after-merge'])).toContain('started');
  });

  it('starts, holds, decides, repeats and exports runs', async () => {
    const id = await quiet('workflow', 'run', 'hello', '--input', 'to=Ann');
    await asks(id);
    expect(await millrace(['run', 'approvals', '--workflow', 'hello'])).toContain('Hello, Ann?');
    expect(await quiet('run', 'pause', id)).toBe('paused');
    expect(await quiet('run', 'resume', id)).toMatch(/running|waiting/);
    expect(await millrace(['run', 'approve', id, 'ok', '--form', 'slots=3'], { code: 1 })).toContain(
      'approval.own_run',
    );
    await millrace(['run', 'reject', id, 'ok', '--comment', 'Not today.'], { token: ann });
    expect(await millrace(['run', 'view', id, '--watch'], { code: 1 })).toContain('approval.rejected');
    expect(await quiet('run', 'retry', '--all', '--workflow', 'hello', '--error-code', 'approval.rejected')).toBe('1');
    await millrace(['run', 'retry', id]);
    await asks(id);
    const bad = await millrace(['run', 'approve', id, 'ok', '--form', 'slots=many'], { token: ann, code: 1 });
    expect(bad).toContain('/form/slots');
    await millrace(['run', 'approve', id, 'ok', '--form', `@${await file('form.yaml', 'slots: 3\n')}`], { token: ann });
    expect(await millrace(['run', 'view', id, '--watch'])).toContain('Outputs: {"slots":3}');
    const again = await quiet('run', 'restart', id, '--input', 'to=Bob');
    expect(again).toMatch(/queued|running|waiting/);
    const [newest] = (await quiet('run', 'ls', '--workflow', 'hello', '--label', 'team=cli')).split('\n');
    await asks(newest!);
    expect(await quiet('run', 'cancel', newest!)).toBe('cancelled');
    const exported = join(folder, 'exported.test.yaml');
    expect(await millrace(['run', 'export', id, '--as-test', '--output', exported])).toContain('Wrote');
    await millrace(['workflow', 'rm', 'hello']);
    expect(await quiet('workflow', 'ls', '--archived')).toContain('hello');
  });

  it('has no verb of workflow and run that was not used here', () => {
    const verbs = (noun: string, table: readonly { readonly usage: string }[], more: readonly string[]) =>
      [...table.map(({ usage }) => usage.split(' ')[0]!), ...more].map((verb) => `${noun} ${verb}`);
    const all = [
      ...verbs('workflow', [...workflowVerbs, ...versionVerbs], ['apply', 'test']),
      ...verbs('run', runVerbs, ['export']),
    ];
    expect(all.filter((verb) => !used.has(verb))).toEqual([]);
  });
});
