import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { FakeShell } from '../../testing/fake-shell.js';
import type { Given, Verb } from '../nouns/verb-table.js';
import { runVerbs } from '../run/run-verbs.js';
import { versionVerbs } from './version-verbs.js';
import { workflowVerbs } from './workflow-verbs.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-verbs-'));
  await writeFile(join(folder, 'a.yaml'), 'name: a b\nsteps: []\n');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const verb = (verbs: readonly Verb[], name: string, shell: FakeShell, args: readonly string[], options: Given = {}) =>
  verbs.find(({ usage }) => usage.split(' ')[0] === name)!.run(shell, args, options);
const run = { id: 'run_1', workflow: 'a', status: 'completed', startedAt: 'then', outputs: { x: 1 }, timeline: [] };

describe('workflow', () => {
  it('saves a text under its name, with warnings at their places', async () => {
    const saved = {
      name: 'a b',
      version: 'v1',
      warnings: [{ line: 2, column: 1, message: 'Odd.', pointer: '/steps' }],
    };
    const shell = new FakeShell({ 'PUT /api/v1/workflows/a%20b': saved });
    const file = join(folder, 'a.yaml');
    await verb(workflowVerbs, 'create', shell, [file]);
    expect(shell.asked[0]!.body).toEqual({ source: 'name: a b\nsteps: []\n' });
    expect(shell.notes).toEqual([`${file}:2:1: warning: Odd.`]);
    expect(shell.out).toEqual(['"a b" is active, version v1.']);
  });

  it('fails on errors when it validates, and on warnings too when it lints', async () => {
    const check = { valid: true, version: 'v', errors: [], warnings: [{ line: 1, column: 2, message: 'Odd.' }] };
    const shell = new FakeShell({ 'POST /api/v1/workflows/validate': check });
    const file = join(folder, 'a.yaml');
    expect(await verb(workflowVerbs, 'validate', shell, [file])).toBe(0);
    expect(await verb(workflowVerbs, 'lint', shell, [file])).toBe(1);
    const wrong = { ...check, valid: false, errors: [{ line: 3, column: 4, detail: 'Wrong.' }] };
    const other = new FakeShell({ 'POST /api/v1/workflows/validate': wrong });
    expect(await verb(workflowVerbs, 'validate', other, [file])).toBe(1);
    expect(other.notes[0]).toBe(`${file}:3:4: Wrong.`);
  });

  it('starts a run with inputs, whose values may be JSON', async () => {
    const shell = new FakeShell({ 'POST /api/v1/workflows/a/runs': run });
    shell.quiet = true;
    await verb(workflowVerbs, 'run', shell, ['a'], { input: ['to=staging', 'count=3'] });
    expect(shell.asked[0]!.body).toEqual({ inputs: { to: 'staging', count: 3 } });
    expect(shell.out).toEqual(['run_1']);
    await expect(verb(workflowVerbs, 'run', shell, ['a'], { input: ['to'] })).rejects.toThrow('key=value');
  });

  it('says when a schedule comes next', async () => {
    const states = { paused: false, disabled: false, archived: false };
    const answer = { workflow: 'a', ...states, schedules: [{ trigger: 'every 1d', index: 0, next: ['t1', 't2'] }] };
    const off = (more: object) => ({ workflow: 'a', ...states, schedules: [], ...more });
    const shell = new FakeShell({
      'GET /api/v1/workflows/a/schedule': answer,
      'GET /api/v1/workflows/b/schedule': off({ paused: true }),
      'GET /api/v1/workflows/c/schedule': off({ paused: true, disabled: true }),
      'GET /api/v1/workflows/d/schedule': off({}),
    });
    await verb(workflowVerbs, 'schedule', shell, ['a']);
    expect(shell.out).toEqual(['AT | SCHEDULE', 't1 | every 1d', 't2 | every 1d']);
    for (const name of ['b', 'c', 'd']) await verb(workflowVerbs, 'schedule', shell, [name]);
    expect(shell.notes).toEqual([
      '"b" is paused: its schedules start no runs.',
      '"c" is disabled: its schedules start no runs.',
      '"d" has no schedule.',
    ]);
  });

  it('are listed with their state, by state and labels', async () => {
    const one = { name: 'a', status: 'active', version: 'v1', origin: 'api', updatedAt: 'then' };
    const data = [one, { ...one, paused: true }, { ...one, paused: true, disabled: true }];
    const shell = new FakeShell({
      'GET /api/v1/workflows?limit=200': { data, nextCursor: null },
      'GET /api/v1/workflows?paused=true&disabled=true&label=team%3Apay%3Aments&label=tier%3A1&limit=200': {
        data: [],
        nextCursor: null,
      },
    });
    await verb(workflowVerbs, 'ls', shell, []);
    expect(shell.out.slice(1)).toEqual(
      ['active', 'paused', 'disabled'].map((state) => `a | ${state} | v1 | api | then`),
    );
    await verb(workflowVerbs, 'ls', shell, [], { paused: true, disabled: true, label: ['team=pay:ments', 'tier=1'] });
    expect(shell.notes).toEqual(['There are no such workflows.']);
  });

  it('are shown with their state', async () => {
    const shell = new FakeShell({
      'GET /api/v1/workflows/a': { name: 'a', status: 'active', paused: true, source: 'x\n' },
    });
    await verb(workflowVerbs, 'view', shell, ['a']);
    expect([shell.out, shell.notes]).toEqual([['x'], ['"a" is paused.']]);
  });
});

describe('versions of a workflow', () => {
  const drawn = {
    workflow: 'a',
    nodes: [
      { id: 'x', kind: 'http', part: 'steps', status: 'completed' },
      { id: 'y', kind: 'log', part: 'onFailure' },
    ],
    edges: [{ from: 'x', to: 'y', kind: 'inside', label: 'say "yes"' }],
  };

  it('are drawn for Mermaid and Graphviz', async () => {
    const shell = new FakeShell({ 'GET /api/v1/workflows/a/graph?version=2': drawn });
    await verb(versionVerbs, 'graph', shell, ['a'], { version: '2' });
    await verb(versionVerbs, 'graph', shell, ['a'], { version: '2', format: 'dot' });
    expect(shell.out[0]!.split('\n')).toEqual([
      'flowchart TD',
      '  x["x (http): completed"]',
      '  y["y (log)"]',
      `  x -.->|"say 'yes'"| y`,
      '  subgraph onFailure',
      '    y',
      '  end',
    ]);
    expect(shell.out[1]).toContain(`"x" -> "y" [label="say 'yes'", style=dashed];`);
    await expect(verb(versionVerbs, 'graph', shell, ['a'], { format: 'png' })).rejects.toThrow('mermaid, dot or json');
  });

  it('are compared by lines and steps', async () => {
    const same = (text: string) => ({ kind: 'same', text });
    const shell = new FakeShell({
      'GET /api/v1/workflows/a/diff?from=1': {
        from: { version: 'v1', number: 1 },
        to: { version: 'v2', number: 2 },
        steps: { added: ['n'], removed: [], changed: [{ id: 'x', keys: ['with'] }] },
        lines: [...'abcdef'].map(same).concat({ kind: 'added', text: 'new' }),
      },
    });
    await verb(versionVerbs, 'diff', shell, ['a'], { from: '1' });
    expect(shell.out).toEqual(['--- a version 1 (v1)', '+++ a version 2 (v2)', '…', ' d', ' e', ' f', '+new']);
    expect(shell.notes).toEqual(['added: n', 'changed: x (with)']);
  });
});

describe('run', () => {
  it('is followed to its end; the exit code says whether it completed', async () => {
    const states = ['running', 'failed'];
    const error = { code: 'http.status', message: 'It answered 500.', path: 'call' };
    const shell = new FakeShell({ 'GET /api/v1/runs/run_1': () => ({ ...run, status: states.shift(), error }) });
    expect(await verb(runVerbs, 'view', shell, ['run_1'], { watch: true })).toBe(1);
    expect(shell.asked).toHaveLength(2);
    expect(shell.out.slice(0, 2)).toEqual(['run_1 of "a" is failed.', 'http.status in call: It answered 500.']);
  });

  it('is listed by workflow and status', async () => {
    const shell = new FakeShell({
      'GET /api/v1/runs?workflow=a+b&status=failed&input.to=x&limit=200': { data: [run], nextCursor: null },
    });
    shell.quiet = true;
    await verb(runVerbs, 'ls', shell, [], { workflow: 'a b', status: 'failed', input: ['to=x'] });
    expect(shell.out).toEqual(['run_1']);
  });

  it('is approved at the path of a step', async () => {
    const shell = new FakeShell({ 'POST /api/v1/runs/run_1/approvals/each%5B0%5D.ok': {} });
    await verb(runVerbs, 'approve', shell, ['run_1', 'each[0].ok'], { comment: 'Yes.' });
    expect(shell.asked[0]!.body).toEqual({ decision: 'approve', comment: 'Yes.' });
    expect(shell.out).toEqual(['each[0].ok of run_1 is approved.']);
  });

  it('is retried, or restarted from a step with other inputs and outputs', async () => {
    const shell = new FakeShell({ 'POST /api/v1/runs/run_1/retry': run, 'POST /api/v1/runs/run_1/restart': run });
    await verb(runVerbs, 'retry', shell, ['run_1'], { version: '4' });
    await verb(runVerbs, 'restart', shell, ['run_1'], { from: 'b', input: ['x=1'], output: ['a={"n":2}'] });
    expect(shell.asked.map(({ body }) => body)).toEqual([
      { version: '4' },
      { from: 'b', inputs: { x: 1 }, outputs: { a: { n: 2 } } },
    ]);
  });

  it('is retried together with others that match, once their number is confirmed', async () => {
    const done = { id: 'ret_1', status: 'completed', retried: 2, refused: 0 };
    const shell = new FakeShell({
      'POST /api/v1/runs/retry': { count: 2, started: false, id: 'ret_1' },
      'GET /api/v1/run-retries/ret_1': done,
    });
    const options = { all: true, workflow: 'a', errorCode: 'x' } as const;
    await verb(runVerbs, 'retry', shell, [], options);
    expect(shell.out).toEqual(['2 failed runs match. Repeat the command with --confirm 2 to retry them.']);
    expect(await verb(runVerbs, 'retry', shell, [], { ...options, yes: true, rate: '5' })).toBe(0);
    expect(shell.out.at(-1)).toBe('ret_1 is completed: 2 runs retried, 0 refused.');
    const filter = { workflow: 'a', errorCode: 'x' };
    expect(shell.asked.flatMap(({ body }) => (body === undefined ? [] : [body]))).toEqual([
      { filter },
      { filter },
      { filter, confirm: 2, rate: 5 },
    ]);
    expect(await verb(runVerbs, 'retry', shell, [], { all: true, confirm: '2' })).toBe(0);
    await expect(verb(runVerbs, 'retry', shell, [], { all: true, confirm: '3' })).rejects.toThrow('match, not 3');
    await expect(verb(runVerbs, 'retry', shell, [], {})).rejects.toThrow('Name a run');
    await expect(verb(runVerbs, 'retry', shell, ['run_1'], { all: true, yes: true })).rejects.toThrow('not both');
    await expect(verb(runVerbs, 'retry', shell, ['run_1'], { errorCode: 'x' })).rejects.toThrow('--error-code goes');
  });
});
