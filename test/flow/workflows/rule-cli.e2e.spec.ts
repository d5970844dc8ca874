import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { main } from '#apps/cli/src/main.js';
import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { githubPush, githubRequest, send } from '../../support/github.js';
import { ADMIN_TOKEN, ROOT, TestServer } from '../../support/server.js';

let server: TestServer;
let folder: string;
/** Ids of what came in. */
let github: string;
let gitlab: string;
let issue: string;

const NEW = '0000000000000000000000000000000000000000';
const SECRET = 'a-secret-of-both-sides';
const AFTER = '59b20b8d5c6ff8d09518454d4dd8b7b30f095ab5';

const touches = {
  name: 'the API changed on main',
  eventSource: 'git*',
  eventType: 'git.push',
  conditions: {
    all: [
      { field: 'data.branch', operator: 'equals', value: 'main' },
      { expression: "data.commits[].[added, modified, removed][][] | [?starts_with(@, 'services/api/')]" },
    ],
  },
  actions: [{ type: 'create_issue', with: { title: 'look at ${{ data.after }}' } }],
};
const misspelt = {
  ...touches,
  name: 'misspelt',
  conditions: { field: 'data.brnach', operator: 'equals', value: 'main' },
};

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** The program as it runs, against the server, in this process. */
async function millrace(...args: string[]): Promise<Ran> {
  let [out, err] = ['', ''];
  const code = await main(args, {
    env: { MILLRACE_URL: server.url, MILLRACE_TOKEN: ADMIN_TOKEN, XDG_CONFIG_HOME: folder },
    out: { write: (text) => (out += text) },
    err: { write: (text) => (err += text) },
  });
  return { code, out, err };
}
const good = async (...args: string[]): Promise<string> => {
  const { code, out, err } = await millrace(...args);
  if (code !== 0) throw new Error(`millrace ${args.join(' ')} ended with ${code}: ${err}`);
  return out.trimEnd();
};
const file = async (name: string, content: unknown): Promise<string> => {
  const path = join(folder, name);
  await mkdir(join(path, '..'), { recursive: true });
  await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
};

const commit = {
  id: AFTER,
  message: 'Widen the race',
  timestamp: '2026-11-20T13:14:15Z',
  url: `https://example.com/commit/${AFTER}`,
  author: { name: 'Ada', email: 'ada@example.com' },
  added: [],
  modified: ['services/api/race.ts'],
  removed: [],
};
const fromGitLab = {
  object_kind: 'push',
  event_name: 'push',
  before: NEW,
  after: AFTER,
  ref: 'refs/heads/main',
  checkout_sha: AFTER,
  user_id: 4,
  user_name: 'Ada',
  user_username: 'ada',
  project_id: 15,
  project: {
    id: 15,
    name: 'App',
    path_with_namespace: 'acme/app',
    web_url: 'https://gitlab.example.com/acme/app',
    default_branch: 'main',
  },
  commits: [commit],
  total_commits_count: 1,
};

async function integration(provider: string): Promise<string> {
  const { slug } = await server.post<{ slug: string }>('/api/v1/integrations', {
    name: provider,
    provider,
    secret: SECRET,
  });
  return `${server.url}/api/v1/webhooks/inbound/${slug}`;
}
async function idOf(answer: Promise<Response>): Promise<string> {
  const { eventIds } = (await (await answer).json()) as { eventIds: string[] };
  return eventIds[0]!;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-cli-'));
  server = await TestServer.start();
});
afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

describe('millrace rule', () => {
  it('saves a rule, and warns about a misspelt field with its place', async () => {
    const id = await good('rule', 'create', await file('rule.json', touches), '--quiet');
    expect(id).toMatch(/^rul_/);
    const typo = await millrace('rule', 'create', await file('misspelt.json', misspelt));
    expect(typo).toMatchObject({ code: 0, out: expect.stringMatching(/^rul_\w+ "misspelt" is created, version 1/) });
    expect(typo.err).toContain(
      'warning: /conditions/field, column 6: there is no field brnach here. Did you mean "branch"?',
    );
  });

  it('refuses what is wrong, naming every place', async () => {
    const conditions = {
      all: [{ expression: "data.branch == 'main" }, { field: 'data.x', operator: 'equal', value: 1 }],
    };
    const { code, out, err } = await millrace('rule', 'create', await file('wrong.json', { ...touches, conditions }));
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toContain('/conditions/all/0/expression');
    expect(err).toContain('/conditions/all/1/operator');
    const broken = await millrace('rule', 'create', await file('broken.yaml', 'name: a\n  b: ['));
    expect(broken).toMatchObject({ code: 2, err: expect.stringMatching(/broken\.yaml:\d+:\d+: /) });
    expect(await millrace('rule', 'create', join(folder, 'nothing.yaml'))).toMatchObject({ code: 2 });
  });

  it('lists, shows, changes and switches rules by name', async () => {
    const table = await good('rule', 'ls');
    expect(table.split('\n')[0]).toMatch(/^ID +NAME +STATUS +VERSION/);
    expect(table).toMatch(/rul_\w+ +the API changed on main +enabled +1 +git\* +git\.push/);
    expect(JSON.parse(await good('rule', 'ls', '--json'))).toHaveLength(2);
    expect((await good('--quiet', 'rule', 'ls')).split('\n')).toHaveLength(2);
    expect(await good('rule', 'disable', 'misspelt')).toContain('disabled');
    expect(JSON.parse(await good('rule', 'view', 'misspelt'))).toMatchObject({ status: 'disabled' });
    expect(await good('rule', 'ls', '--status', 'disabled', '--quiet')).toMatch(/^rul_\w+$/);
    expect(await good('rule', 'enable', 'misspelt')).toContain('enabled');
    const changed = await file(
      'changed.yaml',
      `name: misspelt\neventType: git.push\nactions: []\nconditions: { field: data.brnach, operator: equals, value: trunk }\n`,
    );
    expect(await good('rule', 'update', 'misspelt', changed)).toContain('version 2');
    expect((await good('rule', 'versions', 'misspelt', '--quiet')).split('\n')).toEqual(['2', '1']);
    expect(await millrace('rule', 'view', 'nobody')).toMatchObject({
      code: 1,
      err: expect.stringContaining('"nobody"'),
    });
    expect(await millrace('rule', 'view', 'rul_00000000000000000000000000')).toMatchObject({ code: 1 });
    expect(await millrace('rule', 'lst')).toMatchObject({ code: 2 });
  });

  it('matches a push to main by path, from GitHub and from GitLab', async () => {
    const push = { ...githubPush('main'), after: AFTER, deleted: false, commits: [commit] };
    github = await idOf(send(await integration('github'), githubRequest('push', push, SECRET)));
    const body = JSON.stringify(fromGitLab);
    const headers = {
      'content-type': 'application/json',
      'x-gitlab-event': 'Push Hook',
      'x-gitlab-token': SECRET,
      'x-gitlab-event-uuid': 'u1',
    };
    gitlab = await idOf(fetch(await integration('gitlab'), { method: 'POST', headers, body }));
    for (const id of [github, gitlab]) {
      const why = await good('rule', 'why', id);
      expect(why).toMatch(
        /matched {6}the API changed on main \(rul_\w+, version 1\)\n +requested create_issue \(evt_\w+\)/,
      );
      expect(why).toMatch(
        /not matched {2}misspelt \(rul_\w+, version 2\)\n +data\.brnach equals "trunk", but was null {2}\(\/conditions\)/,
      );
    }
  });

  it('says of an event that no rule looked at which came nearest, and what to do', async () => {
    const { id } = await server.post<{ id: string }>('/api/v1/events', {
      type: 'git.tag_pushed',
      source: 'git-mirror',
      data: {
        repository: { name: 'app', fullName: 'acme/app' },
        ref: 'refs/tags/v1',
        tag: 'v1',
        created: true,
        deleted: false,
      },
    });
    issue = id;
    const why = await good('rule', 'why', id);
    expect(why).toContain('No rule evaluated this event: none names its type and source.');
    expect(why).toContain(`millrace rule test my-rule.yaml --event ${id}`);
    expect(why).toMatch(
      /the API changed on main \(rul_\w+\): it names the type git\.push, and this is git\.tag_pushed\./,
    );
    expect(JSON.parse(await good('rule', 'why', id, '--json'))).toMatchObject({ decisions: [], nearest: [{}, {}] });
    expect(await millrace('rule', 'why', 'evt_00000000000000000000000000')).toMatchObject({ code: 1 });
    expect(await millrace('rule', 'why', 'nonsense')).toMatchObject({ code: 2 });
  });

  it('tries a draft on an event of the log and on one in a file, and does nothing', async () => {
    const rule = join(folder, 'rule.json');
    const { data } = await server.get<{ data: unknown[] }>('/api/v1/issues');
    const text = await good('rule', 'test', rule, '--event', github);
    expect(text).toContain('holds  data.branch equals "main": "main"  (/conditions/all/0)');
    expect(text).toContain(`"title": "look at ${AFTER}"`);
    const event = await file('event.json', { type: 'git.push', source: 'github', data: { branch: 'topic' } });
    expect(await good('rule', 'test', rule, '--event', event, '--quiet')).toBe('not_matched');
    expect(await millrace('rule', 'test', rule, '--event', event, '--expect', 'matched')).toMatchObject({ code: 1 });
    expect(JSON.parse(await good('rule', 'test', rule, '--event', issue, '--json'))).toMatchObject({
      outcome: 'not_matched',
      failed: { pointer: '/eventType' },
      actions: [],
    });
    expect((await server.get<{ data: unknown[] }>('/api/v1/issues')).data).toHaveLength(data.length);
    expect(await millrace('rule', 'test', rule)).toMatchObject({ code: 2 });
  });

  it('tries a draft on history, and shows the difference to a saved rule', async () => {
    const conditions = { field: 'data.branch', operator: 'equals', value: 'main' };
    const draft = await file('draft.json', { ...touches, eventSource: 'github', conditions });
    const text = await good('rule', 'backtest', draft, '--compare-to', 'the API changed on main@1');
    expect(text).toMatch(
      /^2 events looked at in [\d.]+ s\n {2}matched {6}1\n {2}not matched {2}0\n {2}not named {4}1\n/,
    );
    expect(text).toContain('both match 1,\nonly the draft 0, only the saved rule 1.');
    expect(text).toContain(`Only the saved rule:`);
    expect(text.split('Only the saved rule:')[1]).toContain(gitlab);
    expect(JSON.parse(await good('rule', 'backtest', draft, '--json'))).toMatchObject({ scanned: 2, matched: 1 });
    expect(await good('rule', 'backtest', draft, '--from', '2099-01-01', '--quiet')).toBe('0');
    expect(await millrace('rule', 'backtest', draft, '--from', 'yesterday')).toMatchObject({ code: 1 });
    expect(await millrace('rule', 'backtest', draft, '--compare-to', 'misspelt@9')).toMatchObject({ code: 1 });
  });

  it('archives a rule', async () => {
    expect(await good('rule', 'rm', 'misspelt')).toContain('archived');
    expect(await good('rule', 'ls', '--quiet')).toMatch(/^rul_\w+$/);
  });
});

describe('millrace apply', () => {
  const flow = (text: string) =>
    `name: hello\ntriggers: [{ type: manual }]\nsteps:\n  - id: greet\n    uses: log\n    with: { message: ${text} }\n`;
  const change = (out: string) => (JSON.parse(out) as { change: string }[]).map((one) => one.change);

  it('brings a folder into force, and changes nothing the second time', async () => {
    await file('conf/rules/api.json', touches);
    await file(
      'conf/rules/new.yaml',
      'name: new\neventType: pr.*\nactions:\n  - { type: create_issue, with: { title: look } }\n',
    );
    await file('conf/workflows/hello.yaml', flow('hello'));
    await file('conf/workflows/hello.test.yaml', 'no workflow');
    const conf = join(folder, 'conf');
    expect(change(await good('apply', '-f', conf, '--dry-run', '--json'))).toEqual(['unchanged', 'created', 'created']);
    const table = await good('apply', '-f', conf, '--dry-run');
    expect(table).toMatch(/new\.yaml +rule +new +to be created/);
    expect(change(await good('apply', '-f', conf, '--json'))).toEqual(['unchanged', 'created', 'created']);
    const head = async () =>
      (await server.get<{ data: { id: string }[] }>('/api/v1/events?limit=1&type=rule.*,workflow.*')).data[0]!.id;
    const before = await head();
    expect(change(await good('apply', '-f', conf, '--json'))).toEqual(['unchanged', 'unchanged', 'unchanged']);
    expect(await head()).toBe(before);
    await file('conf/workflows/hello.yaml', flow('bye'));
    await file(
      'conf/rules/new.yaml',
      'name: new\neventType: pr.opened\nactions:\n  - { type: create_issue, with: { title: look } }\n',
    );
    expect(change(await good('apply', '-f', conf, '--json'))).toEqual(['unchanged', 'updated', 'updated']);
  });

  it('goes on after a file that is wrong, and fails in the end', async () => {
    await file('bad/a.yaml', 'name: a\neventType: git.push\nconditions: { field: "(", operator: exists }\n');
    await file('bad/b.yaml', 'name: b\neventType: git.push\n');
    const { code, out, err } = await millrace('apply', '-f', join(folder, 'bad'), '--json');
    expect(code).toBe(1);
    expect(change(out)).toEqual(['failed', 'created']);
    expect(err).toMatch(/a\.yaml:3:22: \/conditions\/field /);
    expect(await millrace('apply', '-f', join(folder, 'nowhere'))).toMatchObject({ code: 2 });
  });
});

describe('millrace rule export', () => {
  const changes = async () =>
    (await server.get<{ data: { id: string }[] }>('/api/v1/events?limit=1&type=rule.*')).data[0]!.id;
  const unchanged = (out: string) =>
    expect(new Set((JSON.parse(out) as { change: string }[]).map((one) => one.change)));

  it('gives back what apply brought into force, from a stream and from a folder, and nothing changes', async () => {
    const save = (text: string) =>
      server.post('/api/v1/rules', {
        name: `nasty ${JSON.stringify(text)}`,
        description: `.${text}`,
        eventType: 'git.push',
        enabled: false,
        conditions: { field: 'data.x', operator: 'in', value: [text, { [text]: 0 }] },
        actions: [{ type: 'dispatch_workflow', with: { inputs: { z: text, a: [text] }, workflow: 'w' } }],
      });
    for (const text of ['2026-01-01', 'yes', '1e3', 'a\n---\nb\n\n', ' 😀: ${{ data.branch }} # x']) await save(text);
    await expect(save('\ud800')).rejects.toThrow('request.bad_text');
    const before = await changes();
    const conf = join(folder, 'exported');
    expect(await good('rule', 'export', '-o', conf)).toMatch(/^\d+ rules are in .*exported: \d+ new, 0 changed/);
    unchanged(await good('apply', '-f', conf, '--json')).toEqual(new Set(['unchanged']));
    expect(await good('rule', 'export', '--output', conf)).toContain(': 0 new, 0 changed, ');
    const stream = await file('all.yaml', await good('rule', 'export'));
    unchanged(await good('apply', '-f', stream, '--json')).toEqual(new Set(['unchanged']));
    expect(await changes()).toBe(before);
    // Also where the server is asked to save each of them again.
    const rules = await server.list<{ id: string; name: string }>('/api/v1/rules');
    for (const { id, name } of rules)
      await good('rule', 'update', id, await file('one.yaml', await good('rule', 'export', name)));
    expect(await changes()).toBe(before);
  });

  it('gives a rule that was removed its life back', async () => {
    const [first] = await server.list<{ id: string; name: string }>('/api/v1/rules');
    const yaml = await file('one.yaml', await good('rule', 'export', first!.id));
    await good('rule', 'rm', first!.id);
    expect(await millrace('rule', 'enable', first!.id)).toMatchObject({
      code: 1,
      err: expect.stringContaining('rule.archived'),
    });
    expect(await good('apply', '-f', yaml)).toMatch(/created/);
    expect((await server.list<{ name: string }>('/api/v1/rules')).map(({ name }) => name)).toContain(first!.name);
    expect(await millrace('rule', 'export', 'nobody')).toMatchObject({ code: 1 });
  });
});

describe('the program itself', () => {
  it('ends a backtest at Ctrl-C, at the server too', async () => {
    let closed = false;
    const endless: Server = createServer((_, response) => {
      response.writeHead(200, { 'content-type': 'application/x-ndjson' });
      const timer = setInterval(
        () => response.write('{"progress":{"scanned":1,"total":9,"percent":11,"rate":1}}\n'),
        20,
      );
      response.on('close', () => {
        closed = true;
        clearInterval(timer);
      });
    });
    endless.listen(0, '127.0.0.1');
    await once(endless, 'listening');
    let asked = false;
    endless.on('request', () => (asked = true));
    const url = `http://127.0.0.1:${(endless.address() as AddressInfo).port}`;
    const child = spawn(
      process.execPath,
      ['apps/cli/bin/millrace.mjs', 'rule', 'backtest', join(folder, 'rule.json'), '--url', url],
      {
        cwd: ROOT,
        env: { ...process.env, MILLRACE_TOKEN: ADMIN_TOKEN },
      },
    );
    let text = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
    try {
      await waitFor(
        'the backtest to begin',
        () => asked,
        () => text,
      );
      child.kill('SIGINT');
      await once(child, 'close');
      expect({ code: child.exitCode, text }).toEqual({ code: 130, text: '' });
      await waitFor('the server to hear of it', () => closed);
    } finally {
      child.kill('SIGKILL');
      endless.closeAllConnections();
      endless.close();
    }
  });
});
