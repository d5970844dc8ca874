import { describe, expect, it } from '@jest/globals';

import { StepError } from '#libs/plugin-sdk/src/define-step.js';

import { story, VirtualWorld, type WorldOptions } from '../../testing/virtual-world.js';

const MINUTE = 60_000;

async function played(options: WorldOptions) {
  const world = new VirtualWorld(options);
  const events = await world.toTheEnd();
  const last = (type: string) => events.findLast((event) => event.type === type)?.data as Record<string, unknown>;
  const elapsed = world.clock.now().getTime() - Date.parse('2026-01-01T00:00:00.000Z');
  return { world, events, last, elapsed, run: await world.run(), story: story(events) };
}

const failing = (more: Partial<ConstructorParameters<typeof StepError>[0]> = {}) =>
  new StepError({ code: 'call.busy', message: 'Busy.', retryable: true, ...more });

describe('a run whose steps have no effects', () => {
  it('is decided at once, each step seeing those before it', async () => {
    const { story, last } = await played({
      yaml: `
name: x
steps:
  - { id: one, uses: echo, with: { value: "\${{ inputs.n }}" } }
  - { id: two, uses: compute, with: { expression: "[steps.one.output, event.data.branch]" } }
outputs: { both: "\${{ steps.two.output }}", text: "n is \${{ steps.one.output }}", run: "\${{ run.workflow }}" }
`,
      inputs: { n: 7 },
      event: { type: 'git.push', data: { branch: 'main' } },
    });
    expect(story).toEqual([
      'workflow.started',
      'workflow.status_changed running',
      'workflow.step_completed one',
      'workflow.step_completed two',
      'workflow.completed',
      'workflow.status_changed completed',
    ]);
    expect(last('workflow.completed')['outputs']).toEqual({ both: [7, 'main'], text: 'n is 7', run: 'x' });
  });

  it('leaves out steps whose condition is not true, and shows them as skipped', async () => {
    const { story, last } = await played({
      yaml: `
name: x
steps:
  - { id: one, if: inputs.go, uses: echo, with: { value: 1 } }
outputs: { status: "\${{ steps.one.status }}", output: "\${{ steps.one.output }}" }
`,
    });
    expect(story).toContain('run.step_skipped one');
    expect(last('workflow.completed')['outputs']).toEqual({ status: 'skipped', output: null });
  });

  it('fails when a step is given what it cannot use, and says what', async () => {
    const { last, run } = await played({
      yaml: `
name: x
steps:
  - { id: one, uses: call, with: { to: "\${{ inputs.to }}" } }
`,
      inputs: { to: 7 },
    });
    expect(run.status).toBe('failed');
    expect(last('workflow.failed')['error']).toEqual({
      code: 'step.bad_input',
      message: 'The input of the step is invalid: with.to: Must be a string. Got 7.',
      path: 'one',
    });
  });

  it('takes the first case that is true, and the steps in it are seen after it', async () => {
    const yaml = `
name: x
steps:
  - id: choose
    switch:
      - if: inputs.n > \`10\`
        steps: [{ id: big, uses: echo, with: { value: big } }]
      - if: inputs.n > \`5\`
        steps: [{ id: middle, uses: echo, with: { value: middle } }]
      - else: true
        steps: [{ id: small, uses: echo, with: { value: small } }]
outputs: { case: "\${{ steps.choose.output.case }}", size: "\${{ steps.big.output || steps.middle.output || steps.small.output }}" }
`;
    const outputsFor = async (n: number) =>
      (await played({ yaml, inputs: { n } })).last('workflow.completed')['outputs'];
    expect(await outputsFor(11)).toEqual({ case: 0, size: 'big' });
    expect(await outputsFor(7)).toEqual({ case: 1, size: 'middle' });
    expect(await outputsFor(1)).toEqual({ case: 2, size: 'small' });
  });

  it('goes on behind a switch of which no case is true', async () => {
    const { last } = await played({
      yaml: `
name: x
steps:
  - id: choose
    switch: [{ if: false, steps: [{ uses: echo, with: { value: 1 } }] }]
outputs: { case: "\${{ steps.choose.output.case }}" }
`,
    });
    expect(last('workflow.completed')['outputs']).toEqual({ case: null });
  });

  it('refuses a value that is too large for the log, as a failure of the step', async () => {
    const { last } = await played({
      yaml: 'name: x\nsteps:\n  - { id: one, uses: echo, with: { value: "${{ [inputs.text, inputs.text] }}" } }\n',
      inputs: { text: 'a'.repeat(200 * 1024) },
    });
    expect(last('workflow.failed')['error']).toMatchObject({ code: 'step.input_too_large', path: 'one' });
  });
});

describe('a loop', () => {
  const loop = (more: string, body = 'uses: echo, with: { value: "${{ item }}" }') => `
name: x
steps:
  - id: each
    forEach: "\${{ inputs.items }}"
    ${more}
    steps: [{ id: inner, ${body} }]
outputs: { results: "\${{ steps.each.output.results }}", stopped: "\${{ steps.each.output.stopped }}" }
`;

  it('does its steps for each item, in order, and collects what the last step of each has', async () => {
    const { last, story } = await played({
      yaml: loop('concurrency: 1', 'uses: compute, with: { expression: "[item, index]" }'),
      inputs: { items: ['a', 'b'] },
    });
    expect(last('workflow.completed')['outputs']).toEqual({
      results: [
        ['a', 0],
        ['b', 1],
      ],
      stopped: false,
    });
    expect(story.filter((line) => line.includes('each'))).toEqual([
      'run.loop_entered each',
      'workflow.step_completed each[0].inner',
      'run.item_completed each',
      'workflow.step_completed each[1].inner',
      'run.item_completed each',
      'workflow.step_completed each',
    ]);
  });

  it('ends early once until is true', async () => {
    const { last } = await played({
      yaml: loop("until: steps.inner.output == 'b'"),
      inputs: { items: ['a', 'b', 'c'] },
    });
    expect(last('workflow.completed')['outputs']).toEqual({ results: ['a', 'b'], stopped: true });
  });

  it('over nothing is done at once', async () => {
    const { last } = await played({ yaml: loop('concurrency: 2'), inputs: { items: [] } });
    expect(last('workflow.completed')['outputs']).toEqual({ results: [], stopped: false });
  });

  it('over something that is no list fails', async () => {
    const { last } = await played({ yaml: loop('concurrency: 2'), inputs: { items: 'abc' } });
    expect(last('workflow.failed')['error']).toMatchObject({ code: 'loop.no_list', path: 'each' });
  });

  it('over a thousand items goes through in several appends, each well below the limit', async () => {
    const items = Array.from({ length: 1000 }, (_, i) => i);
    const { last, run } = await played({ yaml: loop('concurrency: 7'), inputs: { items } });
    expect(run.status).toBe('completed');
    expect(last('workflow.completed')['outputs']).toEqual({ results: items, stopped: false });
  });

  it('over more than a thousand items is refused', async () => {
    const { last } = await played({ yaml: loop('concurrency: 1'), inputs: { items: Array(1001).fill(1) } });
    expect(last('workflow.failed')['error']).toMatchObject({ code: 'loop.too_long' });
  });

  it('inside a loop comes to an end, however long both are', async () => {
    const items = Array.from({ length: 1000 }, (_, i) => i);
    const { last, run } = await played({
      yaml: `
name: x
steps:
  - forEach: "\${{ inputs.items }}"
    steps: [{ forEach: "\${{ inputs.items }}", steps: [{ if: false, uses: echo, with: { value: 1 } }] }]
onFailure: [{ id: told, uses: echo, with: { value: 1 } }]
`,
      inputs: { items },
    });
    expect(run.status).toBe('failed');
    expect(last('workflow.failed')['error']).toMatchObject({ code: 'run.too_long' });
    expect(last('workflow.step_completed')).toMatchObject({ path: 'told' });
  });

  it('has at most so many items under way at a time', async () => {
    let busy = 0;
    let most = 0;
    const { run, last } = await played({
      yaml: loop('concurrency: 3', 'uses: call, with: { to: "${{ item }}" }'),
      inputs: { items: ['a', 'b', 'c', 'd', 'e', 'f', 'g'] },
      makeAttempt: async ({ input }) => {
        most = Math.max(most, ++busy);
        await new Promise((resolve) => setImmediate(resolve));
        busy--;
        return (input as { to: string }).to;
      },
    });
    expect(run.status).toBe('completed');
    expect(most).toBe(3);
    expect(last('workflow.completed')['outputs']).toMatchObject({ results: ['a', 'b', 'c', 'd', 'e', 'f', 'g'] });
  });

  it('fails with the first item that fails, and stops the others', async () => {
    const stopped: string[] = [];
    const { run, last } = await played({
      yaml: loop('concurrency: 3', 'uses: call, with: { to: "${{ item }}" }'),
      inputs: { items: ['a', 'b', 'c'] },
      makeAttempt: async ({ input }, _run, _timeout, signal) => {
        const { to } = input as { to: string };
        if (to === 'b') throw failing({ retryable: false });
        return new Promise((_, reject) =>
          signal.addEventListener('abort', () => {
            stopped.push(to);
            reject(new Error('stopped'));
          }),
        );
      },
    });
    expect(run.status).toBe('failed');
    expect(stopped.sort()).toEqual(['a', 'c']);
    expect(last('workflow.failed')['error']).toMatchObject({ code: 'call.busy', path: 'each[1].inner' });
  });

  it('that fails waits no longer for what its items wait for', async () => {
    const { last, run, elapsed } = await played({
      yaml: `
name: x
steps:
  - id: each
    forEach: [ask, bad]
    concurrency: 2
    onError: continue
    steps:
      - { if: item == 'ask', uses: redeliver_webhook, with: { delivery: del_01jq5x1d0wkz4s3v2n8m7b6c5a } }
      - { if: item == 'bad', wait: { for: "\${{ item }}" } }
  - { wait: { for: 1m } }
`,
    });
    expect(last('run.rested')).toMatchObject({ until: '2026-01-01T00:01:00.000Z', awaiting: [] });
    expect({ status: run.status, elapsed }).toEqual({ status: 'completed', elapsed: MINUTE });
  });

  it('inside a loop keeps items apart', async () => {
    const { last } = await played({
      yaml: `
name: x
steps:
  - id: outer
    forEach: "\${{ inputs.rows }}"
    steps:
      - { id: first, uses: echo, with: { value: "\${{ item[0] }}" } }
      - id: inner
        forEach: "\${{ item }}"
        steps: [{ id: cell, uses: compute, with: { expression: "[steps.first.output, item, index]" } }]
outputs: { cells: "\${{ steps.outer.output.results[].results[] }}" }
`,
      inputs: { rows: [[1, 2], [3]] },
    });
    expect(last('workflow.completed')['outputs']).toEqual({
      cells: [
        [1, 1, 0],
        [1, 2, 1],
        [3, 3, 0],
      ],
    });
  });
});

describe('a step with effects', () => {
  it('is recorded before it begins and after it has ended', async () => {
    const { story } = await played({ yaml: 'name: x\nsteps:\n  - { id: go, uses: call, with: { to: x } }\n' });
    expect(story).toEqual([
      'workflow.started',
      'workflow.status_changed running',
      'run.step_started go',
      'workflow.step_completed go',
      'workflow.completed',
      'workflow.status_changed completed',
    ]);
  });

  it('is tried again after growing delays, and shows how often', async () => {
    let calls = 0;
    const { last, elapsed, story } = await played({
      yaml: `
name: x
steps:
  - id: go
    uses: call
    with: { to: x }
    retry: { maxAttempts: 4, delay: 10s, backoff: exponential, maxDelay: 30s, jitter: false }
`,
      makeAttempt: () => (++calls < 4 ? Promise.reject(failing()) : Promise.resolve({ ok: true })),
    });
    expect(calls).toBe(4);
    expect(elapsed).toBe(10_000 + 20_000 + 30_000);
    expect(last('workflow.step_completed')).toMatchObject({ attempts: 4, output: { ok: true } });
    expect(story.filter((line) => line.startsWith('run.attempt_failed'))).toHaveLength(3);
    expect(story).toContain('workflow.status_changed waiting');
  });

  it('waits as long as the other side asks', async () => {
    let calls = 0;
    const { elapsed } = await played({
      yaml: `
name: x
steps: [{ uses: call, with: { to: x }, retry: { maxAttempts: 2, delay: 1s } }]
`,
      makeAttempt: () => (++calls < 2 ? Promise.reject(failing({ retryAfter: 90 })) : Promise.resolve(null)),
    });
    expect(elapsed).toBe(90_000);
  });

  it('fails the run after its last attempt, with the error and what there was to show', async () => {
    const { last, run } = await played({
      yaml: 'name: x\nsteps: [{ id: go, uses: call, with: { to: x }, retry: { maxAttempts: 2, delay: 1s } }]\n',
      makeAttempt: () => Promise.reject(failing({ output: { status: 503 } })),
    });
    expect(run.status).toBe('failed');
    expect(last('workflow.error')).toMatchObject({ attempts: 2, output: { status: 503 }, continued: false });
  });

  it('is not tried again when a second attempt cannot help', async () => {
    let calls = 0;
    await played({
      yaml: 'name: x\nsteps: [{ uses: call, with: { to: x }, retry: { maxAttempts: 5 } }]\n',
      makeAttempt: () => {
        calls++;
        return Promise.reject(failing({ retryable: false }));
      },
    });
    expect(calls).toBe(1);
  });

  it('goes on behind a failure where that is wanted, with its output and error in scope', async () => {
    const { last, run } = await played({
      yaml: `
name: x
steps:
  - { id: fetch, uses: call, with: { to: x }, onError: continue }
  - id: gone
    if: steps.fetch.output.status == \`410\`
    uses: echo
    with: { value: "\${{ steps.fetch.error.code }}: \${{ steps.fetch.status }}" }
outputs: { said: "\${{ steps.gone.output }}" }
`,
      makeAttempt: () => Promise.reject(failing({ retryable: false, output: { status: 410 } })),
    });
    expect(run.status).toBe('completed');
    expect(last('workflow.completed')['outputs']).toEqual({ said: 'call.busy: failed' });
  });

  it('says that a step is broken when it throws something else', async () => {
    const { last } = await played({
      yaml: 'name: x\nsteps: [{ id: go, uses: call, with: { to: x }, retry: { maxAttempts: 3 } }]\n',
      makeAttempt: () => {
        throw new TypeError('x is not a function');
      },
    });
    expect(last('workflow.failed')['error']).toEqual({
      code: 'step.bug',
      message: 'The step broke: x is not a function',
      path: 'go',
    });
  });

  it('that gives back what JSON cannot hold has failed', async () => {
    const { last } = await played({
      yaml: 'name: x\nsteps: [{ id: go, uses: call, with: { to: x } }]\n',
      makeAttempt: () => Promise.resolve({ big: 1n }),
    });
    expect(last('workflow.failed')['error']).toMatchObject({ code: 'step.not_json' });
  });

  it('is stopped when its time is over, and that is a failure worth another attempt', async () => {
    let calls = 0;
    let stopped = false;
    const { run } = await played({
      yaml: 'name: x\nsteps: [{ id: go, uses: call, with: { to: x }, timeout: 5ms, retry: { maxAttempts: 2, delay: 1ms } }]\n',
      makeAttempt: (_attempt, _run, _timeout, signal) => {
        if (++calls === 2) return Promise.resolve(null);
        return new Promise(() => signal.addEventListener('abort', () => (stopped = true)));
      },
    });
    expect({ status: run.status, calls, stopped }).toEqual({ status: 'completed', calls: 2, stopped: true });
  });
});

describe('time', () => {
  it('passes in a wait, and nothing is done meanwhile', async () => {
    const { elapsed, story } = await played({
      yaml: 'name: x\nsteps:\n  - { id: nap, wait: { for: 3d } }\n  - { id: up, uses: echo, with: { value: 1 } }\n',
    });
    expect(elapsed).toBe(3 * 24 * 60 * MINUTE);
    expect(story).toEqual([
      'workflow.started',
      'workflow.status_changed running',
      'run.timer_set nap',
      'workflow.status_changed waiting',
      'run.rested',
      'run.timer_fired nap',
      'workflow.step_completed nap',
      'workflow.step_completed up',
      'workflow.completed',
      'workflow.status_changed completed',
    ]);
  });

  it('of a wait may be a moment, also one that is over', async () => {
    const until = async (time: string) =>
      (await played({ yaml: 'name: x\nsteps: [{ wait: { until: "${{ inputs.time }}" } }]\n', inputs: { time } }))
        .elapsed;
    expect(await until('2026-01-01T00:10:00Z')).toBe(10 * MINUTE);
    expect(await until('2025-01-01T00:10:00+02:00')).toBe(0);
  });

  it('of a wait that is no time at all fails the step', async () => {
    const { last } = await played({
      yaml: 'name: x\nsteps: [{ wait: { for: "${{ inputs.x }}" } }]\n',
      inputs: { x: 'soon' },
    });
    expect(last('workflow.failed')['error']).toMatchObject({ code: 'wait.bad_time' });
  });

  it('is limited for a step that waits', async () => {
    const { elapsed, last } = await played({
      yaml: 'name: x\nsteps: [{ id: nap, wait: { for: 1h }, timeout: 5m }]\n',
    });
    expect(elapsed).toBe(5 * MINUTE);
    expect(last('workflow.failed')['error']).toMatchObject({ code: 'step.timeout', path: 'nap' });
  });

  it('is limited for a loop as a whole, whatever is inside', async () => {
    const { elapsed, run, story } = await played({
      yaml: `
name: x
steps:
  - id: each
    forEach: [1, 2, 3]
    timeout: 90s
    onError: continue
    steps: [{ id: nap, wait: { for: 1m } }]
  - { id: after, uses: echo, with: { value: "\${{ steps.each.error.code }}" } }
`,
    });
    expect({ elapsed, status: run.status }).toEqual({ elapsed: 90_000, status: 'completed' });
    expect(story.slice(-4)).toEqual([
      'workflow.error each',
      'workflow.step_completed after',
      'workflow.completed',
      'workflow.status_changed completed',
    ]);
  });

  it('is limited for the run as a whole', async () => {
    const { elapsed, last, run } = await played({
      yaml: 'name: x\ntimeout: 2m\nsteps:\n  - { id: nap, wait: { for: 1m } }\n  - { wait: { for: 2m } }\n',
    });
    expect({ elapsed, status: run.status }).toEqual({ elapsed: 2 * MINUTE, status: 'failed' });
    expect(last('workflow.failed')['error']).toMatchObject({ code: 'run.timeout' });
  });

  it('of several waits in a loop runs side by side', async () => {
    const { elapsed } = await played({
      yaml: 'name: x\nsteps:\n  - forEach: [1m, 5m, 2m]\n    concurrency: 3\n    steps: [{ wait: { for: "${{ item }}" } }]\n',
    });
    expect(elapsed).toBe(5 * MINUTE);
  });
});

describe('onFailure', () => {
  const yaml = `
name: x
steps:
  - { id: go, uses: call, with: { to: x } }
  - { id: never, uses: echo, with: { value: 1 } }
onFailure:
  - { id: tell, uses: echo, with: { value: "\${{ error.code }} at \${{ error.path }}" } }
`;

  it('follows a failure, and the run fails with it all the same', async () => {
    const { story, last, run } = await played({ yaml, makeAttempt: () => Promise.reject(failing()) });
    expect(run.status).toBe('failed');
    expect(story.slice(-5)).toEqual([
      'workflow.error go',
      'run.recovery_started',
      'workflow.step_completed tell',
      'workflow.failed',
      'workflow.status_changed failed',
    ]);
    expect(last('workflow.step_completed')['output']).toBe('call.busy at go');
    expect(last('workflow.failed')['error']).toMatchObject({ code: 'call.busy' });
  });

  it('is left alone where nothing fails', async () => {
    const { story } = await played({ yaml });
    expect(story).not.toContain('workflow.step_completed tell');
  });

  it('may wait', async () => {
    const { elapsed, run } = await played({
      yaml: `
name: x
timeout: 1m
steps: [{ wait: { for: 1h } }]
onFailure: [{ wait: { for: 10m } }]
`,
    });
    expect({ elapsed, status: run.status }).toEqual({ elapsed: 11 * MINUTE, status: 'failed' });
  });
});

describe('emit', () => {
  it('appends the event to the run, in the append that ends the step', async () => {
    const { events, last } = await played({
      yaml: `
name: x
steps:
  - id: tell
    uses: emit
    with: { type: webhook.exhausted, subject: "delivery/\${{ inputs.id }}", data: { deliveryId: "\${{ inputs.id }}", attempts: 6 } }
`,
      inputs: { id: 'del_1' },
    });
    const emitted = events.find((event) => event.type === 'webhook.exhausted')!;
    expect(emitted.data).toEqual({ deliveryId: 'del_1', attempts: 6 });
    expect(emitted.metadata).toMatchObject({
      subject: 'delivery/del_1',
      hop: 1,
      actor: expect.stringMatching(/^run\//),
    });
    expect(last('workflow.step_completed')['output']).toEqual({ eventId: expect.stringMatching(/^evt_/) });
  });

  it('fails where the data does not fit the type', async () => {
    const { last } = await played({
      yaml: 'name: x\nsteps: [{ id: tell, uses: emit, with: { type: webhook.exhausted, data: { attempts: 6 } } }]\n',
    });
    expect(last('workflow.failed')['error']).toMatchObject({
      code: 'emit.data',
      message: 'The data does not fit webhook.exhausted: /data/deliveryId: "deliveryId" is required.',
    });
  });

  it('does not let a template reach what the platform records itself', async () => {
    const { last } = await played({
      yaml: 'name: x\nsteps: [{ uses: emit, with: { type: "${{ inputs.type }}" } }]\n',
      inputs: { type: 'token.created' },
    });
    expect(last('workflow.failed')['error']).toMatchObject({ code: 'emit.type' });
  });
});
