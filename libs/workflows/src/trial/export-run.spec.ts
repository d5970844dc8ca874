import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import type { RunDetails } from '#libs/events/src/shapes/run-shape.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { StepError } from '#libs/plugin-sdk/src/define-step.js';

import { arbitraryWorkflow } from '../../testing/arbitrary-workflow.js';
import { testSteps } from '../../testing/library.js';
import { failing, MINUTE } from '../../testing/played.js';
import { VirtualWorld, type WorldOptions } from '../../testing/virtual-world.js';
import { cancelRun } from '../run/commands/cancel-run.js';
import { retryRun } from '../run/commands/retry-run.js';
import { timelineOf } from '../run/shown/timeline.js';
import { exportRun } from './export-run.js';
import { runTests } from './run-tests.js';

/** A run as the API shows it, after it has ended. */
async function recorded(options: WorldOptions) {
  const world = new VirtualWorld(options);
  await world.toTheEnd();
  return shown(world, options);
}

async function shown(world: VirtualWorld, options: WorldOptions) {
  const events = await world.events();
  const { status, ...more } = (await world.run()) as unknown as RunDetails;
  const completed = events.findLast((event) => event.is('workflow.completed'));
  const failed = events.findLast((event) => event.is('workflow.failed'));
  const retries = events.flatMap((event) =>
    event.is('run.retried') ? [{ at: event.metadata.timestamp, by: event.data.by }] : [],
  );
  const run: RunDetails = {
    ...more,
    id: world.runId,
    workflow: world.definition.name,
    workflowId: 'wf_1',
    version: 'abc',
    status,
    trigger: options.event ? 'event' : 'manual',
    startedAt: '2026-01-01T00:00:00.000Z',
    endedAt: events.at(-1)!.metadata.timestamp,
    inputs: { ...options.inputs },
    retries,
    ...(status === 'completed' && completed?.is('workflow.completed') && { outputs: completed.data.outputs }),
    ...(status === 'failed' && failed?.is('workflow.failed') && { error: failed.data.error }),
    timeline: timelineOf(events, world.definition),
  };
  return { run, source: options.yaml };
}

/** Goes on until the run has ended, or until `MINUTE`s after the start. */
async function goOn(world: VirtualWorld, minutes = Infinity): Promise<void> {
  const limit = Date.parse('2026-01-01T00:00:00.000Z') + minutes * MINUTE;
  for (let turns = 0; turns < 1_000; turns++) {
    await world.goOn();
    const run = await world.run();
    if (run.status === 'unknown' || run.ended) return;
    const rested = (await world.events()).findLast((event) => event.is('run.rested'));
    const until = rested?.is('run.rested') && rested.data.until ? Date.parse(rested.data.until) : Infinity;
    if (until > limit) {
      world.clock.advance(limit - world.clock.now().getTime());
      return;
    }
    if (!(await world.untilNext())) return;
  }
}

const cancel = (world: VirtualWorld) =>
  cancelRun(
    world.store,
    { runId: world.runId, orgId: world.orgId, by: 'token/me' },
    () => world.clock.now(),
    () => Promise.resolve(world.definition),
  );

const retry = (world: VirtualWorld) =>
  retryRun(
    world.store,
    { find: () => Promise.resolve(world.definition), versionNamed: () => Promise.resolve(undefined) },
    { runId: world.runId, orgId: world.orgId, by: 'token/me' },
    () => world.clock.now(),
  );

const passes = (yaml: string, text: string) =>
  expect(runTests(yaml, text, testSteps)).toMatchObject({ ok: true, results: [{ passed: true, failures: [] }] });

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

  it('is refused while it is under way, and where it goes another way', async () => {
    const yaml = 'name: x\ntriggers: [{ type: manual }]\nsteps: [{ id: nap, wait: { for: 1d } }]\n';
    const { run, source } = await recorded({ yaml });
    const changed = (status: RunDetails['status']) => ({ run: { ...run, status }, source });
    for (const status of ['running', 'waiting', 'paused', 'skipped'] as const)
      expect(() => exportRun(changed(status), testSteps)).toThrow(`it is ${status}`);
    expect(() => exportRun(changed('failed'), testSteps)).toThrow('the run is another');
  });
});

describe('a cancelled run that becomes a test', () => {
  const yaml = `
name: x
triggers: [{ type: manual }]
steps:
  - { id: ask, uses: call, with: { to: x }, retry: { maxAttempts: 3, delay: 1h, jitter: false } }
  - { id: heard, waitForEvent: { event: comment.created, timeout: 1d } }
  - { id: never, uses: call, with: { to: y } }
finally:
  steps: [{ id: tell, uses: call, with: { to: z } }]
`;

  it.each([
    ['while it waits for an event', 0, 10, 'heard'],
    ['between two attempts', 1, 10, 'ask'],
  ])('is cancelled at the same time: %s', async (_, busy, minutes, open) => {
    let calls = 0;
    const options: WorldOptions = {
      yaml,
      makeAttempt: () => (calls++ < busy ? Promise.reject(failing()) : Promise.resolve({ calls })),
    };
    const world = new VirtualWorld(options);
    await world.begin();
    await goOn(world, minutes);
    await cancel(world);
    await goOn(world);
    const exported = await shown(world, options);
    expect(exported.run.status).toBe('cancelled');
    const { text, leftOut } = exportRun(exported, testSteps);
    expect(leftOut).toEqual([]);
    expect(text).toContain(`cancelAt: ${minutes}m`);
    expect(text).toMatch(new RegExp(`id: ${open}\n\\s+status: cancelled`));
    expect(text).toMatch(/id: tell\n\s+status: completed/);
    passes(yaml, text);
    // It can fail: not cancelled, the run goes on.
    expect(runTests(yaml, text.replace(/ +cancelAt.*\n/, ''), testSteps)).toMatchObject({
      ok: true,
      results: [{ passed: false }],
    });
  });
});

describe('a retried run that becomes a test', () => {
  it('answers as after the last retry, and says so in a comment', async () => {
    const yaml = `
name: x
triggers: [{ type: manual }]
steps:
  - { id: one, uses: call, with: { to: x }, retry: { maxAttempts: 2, delay: 1m, jitter: false } }
  - { id: two, uses: call, with: { to: y } }
onFailure:
  - { id: report, uses: call, with: { to: z } }
outputs: { said: "\${{ steps.two.output }}" }
`;
    const failingCalls = [1, 3];
    let calls = 0;
    const options: WorldOptions = {
      yaml,
      makeAttempt: () => (failingCalls.includes(++calls) ? Promise.reject(failing()) : Promise.resolve({ calls })),
    };
    const world = new VirtualWorld(options);
    await world.begin();
    await goOn(world);
    world.clock.advance(MINUTE);
    await retry(world);
    await goOn(world);
    const exported = await shown(world, options);
    expect(exported.run).toMatchObject({ status: 'completed', outputs: { said: { calls: 5 } } });
    const { text, leftOut } = exportRun(exported, testSteps);
    expect(leftOut).toEqual([]);
    expect(text).toMatch(/^# The run failed, and token\/me retried it at 2026-01-01T00:02:00.000Z\. .*\n/);
    // The attempts of a step that was not retried stay.
    expect(text).toMatch(/one:\n\s+- error:/);
    expect(text).not.toContain('report');
    passes(yaml, text);
  });
});

describe('any run that was cancelled or retried', () => {
  it('becomes a test that passes; of those with concurrent steps a few are refused', async () => {
    let cancelled = 0;
    let retried = 0;
    let whole = 0;
    let refused = 0;
    await fc.assert(
      fc.asyncProperty(
        arbitraryWorkflow(true),
        fc.integer({ min: 0, max: 6 }),
        fc.constantFrom(1, 30, Infinity, Infinity),
        async (json, seed, minutes) => {
          let calls = seed;
          const yaml = JSON.stringify({ ...JSON.parse(json), triggers: [{ type: 'manual' }] });
          const options: WorldOptions = {
            yaml,
            answer: () => ({
              type: 'webhook.delivered',
              data: { deliveryId: 'd', eventId: 'e', eventType: 't', attempt: 2, latencyMs: 1, status: 200 },
            }),
            makeAttempt: () =>
              calls++ % 4 === 0 ? Promise.reject(failing({ retryable: false })) : Promise.resolve({ calls }),
          };
          const world = new VirtualWorld(options);
          await world.begin();
          await goOn(world, minutes);
          let run = await world.run();
          if (run.status !== 'unknown' && !run.ended && !run.ending) {
            await cancel(world);
            cancelled++;
          }
          await goOn(world);
          run = await world.run();
          if (run.status === 'failed') {
            world.clock.advance(MINUTE);
            await retry(world);
            retried++;
            await goOn(world);
          }
          const ran = await shown(world, options);
          let exported: ReturnType<typeof exportRun>;
          try {
            exported = exportRun(ran, testSteps);
          } catch (error) {
            // Where steps run beside each other, the first failure or the first success cancels the rest, and which one is first
            // is not recorded of those that end at the same moment. Such a run may be refused; it never becomes a wrong test.
            const isConcurrent = /"parallel":|"graph":|"concurrency":[2-9]/.test(json);
            if (!isConcurrent || !(error instanceof Rejected) || error.code !== 'export.differs') throw error;
            refused++;
            return;
          }
          passes(yaml, exported.text);
          if (!exported.leftOut.includes('steps')) whole++;
        },
      ),
      { numRuns: 30 },
    );
    expect(cancelled).toBeGreaterThan(0);
    expect(retried).toBeGreaterThan(0);
    // Only the order of steps that end at the same moment may differ.
    expect(whole).toBeGreaterThan(15);
    expect(refused).toBeLessThan(5);
  });
});
