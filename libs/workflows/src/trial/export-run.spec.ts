import { describe, expect, it } from '@jest/globals';

import type { RunDetails } from '#libs/events/src/shapes/run-shape.js';
import { StepError } from '#libs/plugin-sdk/src/define-step.js';

import { testSteps } from '../../testing/library.js';
import { VirtualWorld, type WorldOptions } from '../../testing/virtual-world.js';
import { timelineOf } from '../run/shown/timeline.js';
import { exportRun } from './export-run.js';
import { runTests } from './run-tests.js';

/** A run as the API shows it. */
async function recorded(options: WorldOptions) {
  const world = new VirtualWorld(options);
  const events = await world.toTheEnd();
  const { status, ...more } = (await world.run()) as unknown as RunDetails;
  const completed = events.find((event) => event.is('workflow.completed'));
  const failed = events.find((event) => event.is('workflow.failed'));
  const run: RunDetails = {
    ...more,
    id: world.runId,
    workflow: world.definition.name,
    workflowId: 'wf_1',
    version: 'abc',
    status,
    trigger: options.event ? 'event' : 'manual',
    startedAt: '2026-01-01T00:00:00.000Z',
    inputs: { ...options.inputs },
    ...(completed?.is('workflow.completed') && { outputs: completed.data.outputs }),
    ...(failed?.is('workflow.failed') && { error: failed.data.error }),
    timeline: timelineOf(events, world.definition),
  };
  return { run, source: options.yaml };
}

describe('a run that becomes a test', () => {
  it('answers each step as it was answered, attempt by attempt and item by item', async () => {
    const yaml = `
name: x
triggers: [{ type: manual, inputs: { list: { type: string } } }]
steps:
  - id: each
    forEach: [1, 2, 3]
    concurrency: 3
    onItemError: continue
    steps:
      - { id: ask, uses: call, with: { to: x, times: "\${{ item }}" }, retry: { maxAttempts: 3, delay: 1m, when: "output.busy == \`true\`" } }
  - { id: greet, uses: emit, with: { type: webhook.exhausted, data: { deliveryId: d, attempts: 1 } } }
  - { id: heard, waitForEvent: { event: comment.created, timeout: 1h, onTimeout: continue } }
outputs:
  items: "\${{ steps.each.output.items[].[status, output.times, error.code] }}"
  emitted: "\${{ steps.greet.output.eventId }}"
  late: "\${{ steps.heard.output.timedOut }}"
`;
    const exported = await recorded({
      yaml,
      inputs: { list: 'x' },
      makeAttempt: ({ input, attempt }) => {
        const { times } = input as { times: number };
        if (attempt < times)
          return Promise.reject(
            new StepError({ code: 'call.busy', message: 'Busy.', retryable: false, output: { busy: true } }),
          );
        return times === 2
          ? Promise.reject(
              new StepError({ code: 'call.bad', message: 'Bad.', retryable: true, output: { busy: false } }),
            )
          : Promise.resolve({ times });
      },
    });
    expect(exported.run.outputs).toMatchObject({
      items: [
        ['completed', 1, null],
        ['failed', null, 'call.bad'],
        ['completed', 3, null],
      ],
    });
    const { text, leftOut } = exportRun(exported, testSteps);
    expect(leftOut).toEqual([]);
    expect(runTests(yaml, text, testSteps)).toMatchObject({ ok: true, results: [{ passed: true, failures: [] }] });
    // It can fail: another answer is another run.
    const changed = text.replace('times: 3', 'times: 4');
    expect(changed).not.toBe(text);
    expect(runTests(yaml, changed, testSteps)).toMatchObject({ ok: true, results: [{ passed: false }] });
  });

  it('starts with the event, and fails where the run failed', async () => {
    const yaml = `
name: x
triggers: [{ type: event, event: git.push }]
steps: [{ id: ask, uses: call, with: { to: "\${{ event.data.branch }}" } }]
`;
    const event = { type: 'git.push', data: { branch: 'main' } };
    const { run, source } = await recorded({
      yaml,
      event,
      makeAttempt: () => Promise.reject(new StepError({ code: 'call.bad', message: 'Bad.', retryable: true })),
    });
    const started = { id: 'evt_01jq5x1d0wkz4s3v2n8m7b6c5a', source: 'github', subject: 'repository/x', ...event };
    const { text } = exportRun({ run, source, event: started }, testSteps);
    expect(text).toContain('type: git.push');
    expect(text).toContain('code: call.bad');
    expect(runTests(yaml, text, testSteps)).toMatchObject({ ok: true, results: [{ passed: true }] });
  });

  it('leaves out of what is expected what another run cannot have', async () => {
    const yaml = `
name: x
triggers: [{ type: manual }]
steps: [{ id: ask, uses: call, with: { to: x } }]
outputs: { id: "\${{ run.id }}", version: "\${{ run.version }}" }
`;
    const { text, leftOut } = exportRun(await recorded({ yaml, makeAttempt: () => Promise.resolve(1) }), testSteps);
    expect(leftOut).toEqual(['outputs.version']);
    expect(text).toMatch(/outputs:\n\s+id: run_/);
  });

  it('has other values for secrets, whose own are masked in what was recorded', async () => {
    const yaml = `
name: x
triggers: [{ type: manual }]
steps: [{ id: ask, uses: call, with: { to: "https://x.example.com/\${{ secrets.API_KEY }}" } }]
outputs: { said: "\${{ steps.ask.output }}" }
`;
    const exported = await recorded({ yaml, makeAttempt: () => Promise.resolve('the test key is ***') });
    const { text } = exportRun(exported, testSteps);
    expect(text).toMatch(/secrets:\n\s+API_KEY: value-of-API_KEY-in-tests/);
    expect(runTests(yaml, text, testSteps)).toMatchObject({ ok: true, results: [{ passed: true }] });
  });

  it('is refused where it cannot be played again', async () => {
    const yaml = 'name: x\ntriggers: [{ type: manual }]\nsteps: [{ id: nap, wait: { for: 1d } }]\n';
    const { run, source } = await recorded({ yaml });
    for (const [changed, why] of [
      [{ status: 'cancelled' }, 'it is cancelled'],
      [{ retries: [{ at: run.startedAt, by: 'token/t' }] }, 'restart it from the beginning'],
    ] as const)
      expect(() => exportRun({ run: { ...run, ...changed } as RunDetails, source }, testSteps)).toThrow(why);
    expect(() => exportRun({ run: { ...run, status: 'failed' }, source }, testSteps)).toThrow('the run is another');
  });
});
