import { describe, expect, it } from '@jest/globals';

import { testSteps } from '../../testing/library.js';
import { runTests } from './run-tests.js';

/** What a test of the workflow says: its failures, or what is wrong with the text. */
function failures(workflow: string, test: string): readonly string[] {
  const run = runTests(`name: x\n${workflow}\n`, `tests:\n  - { name: one, ${test} }\n`, testSteps);
  if (!run.ok) return run.problems.map(({ line, column, detail }) => `${line}:${column} ${detail}`);
  return run.results[0]!.failures.map(({ line, column, what, seen = '' }) =>
    `${line}:${column} ${what} ${seen}`.trim(),
  );
}

describe('a run at a tick', () => {
  const at = (triggers: string) =>
    `triggers: [${triggers}]\nsteps: [{ uses: set, with: { x: 1 } }]\noutputs: { at: "\${{ event.data.at }}" }`;
  const berlin = at('{ type: schedule, cron: "0 7 * * 1-5", timezone: Europe/Berlin }');

  it('starts at the first tick of 2026 unless the test says when', () => {
    expect(failures(berlin, 'expect: { outputs: { at: "2026-01-01T06:00:00.000Z" } }')).toEqual([]);
    expect(
      failures(berlin, 'event: { type: schedule.fired }, expect: { outputs: { at: "2026-01-01T06:00:00.000Z" } }'),
    ).toEqual([]);
  });

  it('is refused at a time that is no tick, with the next one', () => {
    // A Saturday.
    expect(failures(berlin, 'now: 2026-11-21T06:00:00Z, expect: { status: completed }')).toEqual([
      '2:18 The schedule "0 7 * * 1-5 Europe/Berlin" has no tick at 2026-11-21T06:00:00.000Z. The next one is at 2026-11-23T06:00:00.000Z.',
    ]);
    const late = 'event: { type: schedule.fired, data: { at: "2026-11-20T06:00:01.000Z" } }, now: 2026-11-20T06:00:00Z';
    expect(failures(berlin, `${late}, expect: { status: completed }`)[0]).toContain('no tick at 2026-11-20T06:00:01');
  });

  it('may be late', () => {
    const late = 'event: { type: schedule.fired, data: { at: "2026-11-20T06:00:00.000Z", late: catchup } }';
    expect(failures(berlin, `${late}, now: 2026-11-20T06:30:00Z, expect: { status: completed }`)).toEqual([]);
  });

  it('belongs to the schedule that has the tick', () => {
    const two = at('{ type: schedule, every: 1h }, { type: schedule, cron: "30 9 * * *" }');
    expect(failures(two, 'now: 2026-11-20T09:30:00Z, expect: { status: completed }')).toEqual([]);
    expect(failures(two, 'now: 2026-11-20T09:31:00Z, expect: { status: completed }')[0]).toContain('"every 1h" has no');
  });
});

describe('a run of a batch', () => {
  const steps =
    'steps: [{ uses: set, with: { x: 1 } }]\noutputs: { all: "${{ events[].data.n }}", last: "${{ event.data.n }}" }';
  const batched = `triggers: [{ type: event, event: build.done, when: data.n > \`0\`, batch: { size: 3, timeout: 1m } }]\n${steps}`;
  const events = (...numbers: number[]) =>
    `event: [${numbers.map((n) => `{ type: build.done, data: { n: ${n} } }`).join(', ')}]`;

  it('has all its events, and the last one as event', () => {
    expect(failures(batched, `${events(1, 2, 3)}, expect: { outputs: { all: [1, 2, 3], last: 3 } }`)).toEqual([]);
    expect(failures(batched, 'event: { type: build.done, data: { n: 1 } }, expect: { outputs: { all: [1] } }')).toEqual(
      [],
    );
  });

  it('does not start unless each of them fits, nor with more than the batch takes', () => {
    expect(failures(batched, `${events(1, 0)}, expect: { status: completed }`)).toEqual([
      expect.stringContaining('No trigger fits all of these 2 events'),
    ]);
    expect(failures(batched, `${events(1, 2, 3, 4)}, expect: { status: completed }`)).toEqual([
      '2:18 The batch of the trigger has at most 3 events, not 4.',
    ]);
  });

  it('needs a trigger with a batch', () => {
    const single = 'triggers: [{ type: event, event: build.done }]\nsteps: [{ wait: { for: 1s } }]';
    expect(failures(single, `${events(1, 2)}, expect: { status: completed }`)).toEqual([
      '2:18 Only a trigger with "batch" starts one run for several events. Give one event.',
    ]);
    expect(failures(single, 'event: [], expect: { status: completed }')[0]).toMatch(/^2:\d+ /);
  });
});

describe('a step that asks another stage', () => {
  const manual = (step: string) => `triggers: [{ type: manual }]\nsteps: [{ id: tell, ${step} }]`;
  const SEND = 'uses: send_webhook, with: { url: "https://example.com/${{ secrets.KEY }}", payload: {} }';

  it('needs a mock also where it is detached', () => {
    const detached = manual('uses: workflow, with: { workflow: other, detached: true }');
    expect(failures(detached, 'inputs: {}, expect: { status: completed }')[0]).toContain(
      'The step "tell" has an effect and no mock',
    );
    expect(
      failures(detached, 'inputs: {}, mocks: { tell: { delay: 1h } }, expect: { status: completed, time: 0s }'),
    ).toEqual([]);
  });

  it('fails with a secret that the test does not have', () => {
    const test = 'inputs: {}, mocks: { tell: {} }, expect: { status: failed, error: { code: secret.unknown } }';
    expect(failures(manual(SEND), test)).toEqual([]);
    expect(failures(manual(SEND), `secrets: { OTHER: x }, ${test}`)).toEqual([]);
    expect(
      failures(manual(SEND), 'secrets: { KEY: x }, inputs: {}, mocks: { tell: {} }, expect: { status: completed }'),
    ).toEqual([]);
  });
});
