import { expect, it } from '@jest/globals';

import { FakeShell } from '../../testing/fake-shell.js';
import type { Given } from '../nouns/verb-table.js';
import { approvalVerbs } from './approval-verbs.js';

const verb = (name: string, shell: FakeShell, args: readonly string[], options: Given = {}) =>
  approvalVerbs.find(({ usage }) => usage.split(' ')[0] === name)!.run(shell, args, options);
const DECIDE = 'POST /api/v1/runs/run_1/approvals/each%5B0%5D.ok';

it('lists what waits, by run and workflow', async () => {
  const waiting = {
    runId: 'run_1',
    path: 'ok',
    workflow: 'a b',
    title: 'Deploy?',
    approvers: ['admin', 'ann'],
    status: 'waiting',
  };
  const page = { data: [waiting], nextCursor: null };
  const shell = new FakeShell({
    'GET /api/v1/approvals?limit=200': page,
    'GET /api/v1/approvals?status=over&runId=run_1&workflow=a+b&limit=200': { data: [], nextCursor: null },
  });
  await verb('approvals', shell, []);
  expect(shell.out).toEqual([
    'RUN | STEP | WORKFLOW | STATUS | FOR | UNTIL | TITLE',
    'run_1 | ok | a b | waiting | admin, ann | – | Deploy?',
  ]);
  await verb('approvals', shell, [], { status: 'over', run: 'run_1', workflow: 'a b' });
  expect(shell.notes).toEqual(['There are no such approvals.']);
  shell.quiet = true;
  await verb('approvals', shell, []);
  expect(shell.out.at(-1)).toBe('run_1 ok');
  shell.quiet = false;
  shell.json = true;
  await verb('approvals', shell, []);
  expect(JSON.parse(shell.out.at(-1)!)).toEqual([waiting]);
});

it('fills in the form with values and files', async () => {
  const shell = new FakeShell({ [DECIDE]: { status: 'approved' } });
  const form = ['slots=3', 'to=staging', '@push.json', 'note={"a":1}'];
  await verb('approve', shell, ['run_1', 'each[0].ok'], { form, comment: 'Go.' });
  expect(shell.asked[0]!.body).toEqual({
    decision: 'approve',
    comment: 'Go.',
    form: { slots: 3, to: 'staging', type: 'git.push', note: { a: 1 } },
  });
  await expect(verb('approve', shell, ['run_1', 'ok'], { form: ['@none.json'] })).rejects.toThrow('There is no file');
  await expect(verb('approve', shell, ['run_1', 'ok'], { form: ['slots'] })).rejects.toThrow('key=value');
});

it('says that others have to decide too', async () => {
  const shell = new FakeShell({ [DECIDE]: { status: 'waiting' } });
  await verb('approve', shell, ['run_1', 'each[0].ok']);
  expect(shell.out).toEqual(['each[0].ok of run_1 is approved. Others have to decide too.']);
});

it('rejects with a comment', async () => {
  const shell = new FakeShell({ [DECIDE]: { status: 'rejected' } });
  await verb('reject', shell, ['run_1', 'each[0].ok'], { comment: 'No.' });
  expect(shell.asked[0]!.body).toEqual({ decision: 'reject', comment: 'No.' });
  expect(shell.out).toEqual(['each[0].ok of run_1 is rejected.']);
});
