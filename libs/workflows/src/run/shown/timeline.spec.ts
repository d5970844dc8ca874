import { describe, expect, it } from '@jest/globals';

import { StepError } from '#libs/plugin-sdk/src/define-step.js';

import { VirtualWorld, type WorldOptions } from '../../../testing/virtual-world.js';
import { timelineOf } from './timeline.js';

async function shown(options: WorldOptions) {
  const world = new VirtualWorld(options);
  return timelineOf(await world.toTheEnd(), world.definition);
}

describe('the timeline of a run', () => {
  it('has every attempt of a step, with what went wrong and when the next was due', async () => {
    let calls = 0;
    const [step] = await shown({
      yaml: 'name: x\nsteps: [{ id: go, name: Go, uses: call, with: { to: x }, retry: { maxAttempts: 2, delay: 5s, jitter: false } }]\n',
      makeAttempt: () =>
        ++calls < 2 ? Promise.reject(new StepError({ message: 'Busy.', retryable: true })) : Promise.resolve({ n: 1 }),
    });
    expect(step).toEqual({
      path: 'go',
      stepId: 'go',
      name: 'Go',
      status: 'completed',
      startedAt: '2026-01-01T00:00:00.000Z',
      endedAt: '2026-01-01T00:00:05.000Z',
      input: { to: 'x' },
      output: { n: 1 },
      attempts: [
        {
          attempt: 1,
          startedAt: '2026-01-01T00:00:00.000Z',
          endedAt: '2026-01-01T00:00:00.000Z',
          resumed: 0,
          error: { type: 'runtime', code: 'step.failed', message: 'Busy.', path: 'go' },
        },
        { attempt: 2, startedAt: '2026-01-01T00:00:05.000Z', endedAt: '2026-01-01T00:00:05.000Z', resumed: 0 },
      ],
      timers: [{ purpose: 'retry', at: '2026-01-01T00:00:05.000Z', firedAt: '2026-01-01T00:00:05.000Z' }],
    });
  });

  it('says why a step was skipped', async () => {
    const steps = await shown({
      yaml: `
name: x
steps:
  - { id: off, disabled: true, uses: echo, with: { value: 1 } }
  - { id: no, if: inputs.n == \`1\`, uses: echo, with: { value: 1 } }
  - { id: yes, if: inputs.n == \`2\`, uses: echo, with: { value: 1 } }
triggers: [{ type: manual, inputs: { n: { type: number } } }]
`,
      inputs: { n: 2 },
    });
    expect(steps.map(({ path, status, skipped }) => [path, status, skipped])).toEqual([
      ['off', 'skipped', 'disabled: true'],
      ['no', 'skipped', 'if is not true: inputs.n == `1`'],
      ['yes', 'completed', undefined],
    ]);
  });

  it('shows steps that fail, are left out, wait, and stand inside loops and cases', async () => {
    const steps = await shown({
      yaml: `
name: x
steps:
  - { id: no, if: false, uses: echo, with: { value: 1 } }
  - id: each
    forEach: [a]
    steps: [{ id: inner, name: Inside, uses: echo, with: { value: "\${{ item }}" } }]
  - id: choose
    switch: [{ else: true, steps: [{ id: taken, wait: { for: 1m } }] }]
  - { id: bad, uses: call, with: { to: "\${{ inputs.to }}" }, onError: continue }
`,
      inputs: { to: 1 },
    });
    expect(steps.map(({ path, status, name }) => [path, status, name])).toEqual([
      ['no', 'skipped', undefined],
      ['each', 'completed', undefined],
      ['each[0].inner', 'completed', 'Inside'],
      ['choose', 'completed', undefined],
      ['taken', 'completed', undefined],
      ['bad', 'failed', undefined],
    ]);
    expect(steps.at(-1)).toMatchObject({ error: { code: 'step.bad_input' }, attempts: [] });
  });

  const statuses = (steps: readonly { path: string; status: string; endedAt?: string }[]) =>
    steps.map(({ path, status, endedAt }) => [path, status, endedAt?.slice(11, 19)]);

  it('has no step under way once the run has failed', async () => {
    const world = new VirtualWorld({
      yaml: `
name: x
timeout: 1h
steps:
  - id: each
    forEach: [a, b]
    concurrency: 2
    steps:
      - { id: first, wait: { for: 1m } }
      - { id: bad, if: item == 'a', uses: call, with: { to: x } }
      - { id: long, wait: { for: 1h } }
onFailure: [{ id: tell, uses: echo, with: { value: 1 } }]
`,
      makeAttempt: () => Promise.reject(new StepError({ message: 'No.', retryable: false })),
    });
    const steps = timelineOf(await world.toTheEnd(), world.definition);
    expect(statuses(steps)).toEqual([
      ['each', 'failed', '00:01:00'],
      ['each[0].first', 'completed', '00:01:00'],
      ['each[1].first', 'completed', '00:01:00'],
      ['each[0].bad', 'failed', '00:01:00'],
      ['each[1].bad', 'skipped', '00:01:00'],
      ['each[1].long', 'cancelled', '00:01:00'],
      ['tell', 'completed', '00:01:00'],
    ]);
  });

  it('has no step under way once a step around it has ended', async () => {
    const world = new VirtualWorld({
      yaml: `
name: x
steps:
  - id: each
    forEach: [a]
    steps:
      - id: choose
        timeout: 1m
        onError: continue
        switch: [{ else: true, steps: [{ id: inner, forEach: [1], steps: [{ id: nap, wait: { for: 1h } }] }] }]
      - { id: after, wait: { for: 1m } }
`,
    });
    const steps = timelineOf(await world.toTheEnd(), world.definition);
    expect(statuses(steps)).toEqual([
      ['each', 'completed', '00:02:00'],
      ['each[0].choose', 'failed', '00:01:00'],
      ['each[0].inner', 'cancelled', '00:01:00'],
      ['each[0].inner[0].nap', 'cancelled', '00:01:00'],
      ['each[0].after', 'completed', '00:02:00'],
    ]);
  });

  it('has no step and no attempt under way once the time of the run is over', async () => {
    const world = new VirtualWorld({
      yaml: 'name: x\ntimeout: 1m\nsteps: [{ id: nap, wait: { for: 1h } }]\n',
    });
    expect(statuses(timelineOf(await world.toTheEnd(), world.definition))).toEqual([['nap', 'cancelled', '00:01:00']]);
  });

  it('says what a step waits for, and no longer once it has ended', async () => {
    const world = new VirtualWorld({
      yaml: `
name: x
steps: [{ id: a, waitForEvent: { all: [{ event: [pr.closed, pr.merged] }, { event: git.push }], timeout: 1h, onTimeout: continue } }]`,
    });
    await world.begin();
    await world.goOn();
    expect(timelineOf(await world.events())).toMatchObject([
      { status: 'waiting', waiting: 'waiting for pr.closed or pr.merged and git.push until 2026-01-01T01:00:00.000Z' },
    ]);
    await world.untilNext();
    await world.goOn();
    const [step] = timelineOf(await world.events());
    expect(step).toMatchObject({ status: 'completed' });
    expect(step).not.toHaveProperty('waiting');
  });

  it('shows what is under way', async () => {
    const world = new VirtualWorld({ yaml: 'name: x\nsteps: [{ id: nap, wait: { for: 1h }, timeout: 2h }]\n' });
    await world.begin();
    await world.goOn();
    const [step] = timelineOf(await world.events());
    expect(step).toMatchObject({ path: 'nap', status: 'waiting' });
    expect(step!.endedAt).toBeUndefined();
    expect(step!.timers.map(({ purpose }) => purpose)).toEqual(['timeout', 'wait']);
  });
});
