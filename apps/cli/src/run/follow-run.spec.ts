import { expect, it } from '@jest/globals';

import type { RunDetails } from '#libs/events/src/shapes/run-shape.js';

import { FakeShell } from '../../testing/fake-shell.js';
import { show } from './follow-run.js';

const step = (path: string, more: object = {}) => ({
  ...{ path, stepId: path, status: 'completed', startedAt: 't1', endedAt: 't2', attempts: [{}], timers: [], ...more },
});
const run = (more: object): RunDetails =>
  ({ id: 'run_1', workflow: 'deploy', status: 'failed', inputs: {}, timeline: [], ...more }) as unknown as RunDetails;

it('shows why each step is as it is, and which runs it started', () => {
  const shell = new FakeShell();
  show(
    shell,
    run({
      restartOf: 'run_0',
      timeline: [
        step('build', { reusedFrom: 'run_0' }),
        step('call', { attempts: [{}, {}, {}] }),
        step('send', { status: 'failed', error: { code: 'http.status', message: 'The receiver answered 500.' } }),
        step('maybe', { status: 'skipped', skipped: 'if is not true: inputs.x' }),
      ],
      children: [{ id: 'run_2', workflow: 'check', path: 'sub', status: 'completed' }],
    }),
  );
  const text = shell.out.join('\n');
  expect(text).toContain('It repeats run_0.');
  for (const why of [
    'taken over from run_0',
    '3 attempts',
    'http.status: The receiver answered 500.',
    'if is not true: inputs.x',
    'sub started run_2 of "check", which is completed.',
  ])
    expect(text).toContain(why);
});

it('says that there was no place for a run', () => {
  const shell = new FakeShell();
  show(shell, run({ status: 'skipped', skipped: { reason: 'queue-full', detail: '2 runs wait already.' } }));
  expect(shell.out).toEqual(['run_1 of "deploy" is skipped.', 'No place for it: 2 runs wait already.']);
});
