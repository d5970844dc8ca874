import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, it } from '@jest/globals';

import { FakeShell } from '../../testing/fake-shell.js';
import { exportAsTest } from './run-export.js';

const started = '2026-11-20T09:00:00.000Z';
const source = `name: retry
triggers: [{ type: event, event: git.push }]
steps:
  - { id: nap, wait: { for: '\${{ settings.retrySchedule[0] }}' } }
  - { id: tell, uses: http, with: { url: https://x.example.com } }
outputs: { said: '\${{ steps.tell.output.body }}', version: '\${{ run.version }}' }
`;
const step = (id: string, more: object) => ({
  path: id,
  stepId: id,
  status: 'completed',
  startedAt: started,
  endedAt: started,
  attempts: [],
  timers: [],
  ...more,
});
const ANSWERS = {
  'GET /api/v1/runs/run_01jq5x1d0wkz4s3v2n8m7b6c5a': {
    id: 'run_01jq5x1d0wkz4s3v2n8m7b6c5a',
    workflow: 'retry',
    version: 'abc',
    status: 'completed',
    trigger: 'event',
    eventId: 'evt_01jq5x1d0wkz4s3v2n8m7b6c5a',
    startedAt: started,
    inputs: {},
    outputs: { said: 'hi', version: 'abc' },
    timeline: [step('nap', { output: null }), step('tell', { output: { status: 200, headers: {}, body: 'hi' } })],
  },
  'GET /api/v1/workflows/retry/versions/abc': { source },
  'GET /api/v1/events/evt_01jq5x1d0wkz4s3v2n8m7b6c5a': {
    id: 'evt_01jq5x1d0wkz4s3v2n8m7b6c5a',
    type: 'git.push',
    source: 'github',
    subject: 'repository/x',
    data: { branch: 'main' },
  },
  'GET /api/v1/events?type=workflow.started&subject=run%2Frun_01jq5x1d0wkz4s3v2n8m7b6c5a&limit=1': {
    data: [{ data: { settings: { retrySchedule: ['7s'] } } }],
  },
};
const ID = 'run_01jq5x1d0wkz4s3v2n8m7b6c5a';

it('reads the run, its version, its event and the delays that it began with, and writes a test', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-export-'));
  try {
    const shell = new FakeShell(ANSWERS);
    const output = join(folder, 'retry.test.yaml');
    expect(await exportAsTest(shell, ID, { asTest: true, output }, {})).toBe(0);
    const text = await readFile(output, 'utf8');
    expect(text).toMatch(/retrySchedule:\n\s+- 7s/);
    expect(text).toContain('branch: main');
    expect(shell.notes).toEqual([
      'Left out, since a test run has other values: outputs.version.',
      `Wrote ${output}. Run it with: millrace workflow test ${output}`,
    ]);
    await exportAsTest(shell, ID, { asTest: true }, {});
    expect(`${shell.out.join('\n')}\n`).toBe(text);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

it('asks what the run should become', async () => {
  const shell = new FakeShell(ANSWERS);
  expect(await exportAsTest(shell, ID, {}, {})).toBe(2);
  expect(shell.notes).toEqual(['Say what the run becomes: millrace run export <run> --as-test']);
});
