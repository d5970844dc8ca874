import { describe, expect, it } from '@jest/globals';

import { failing, MINUTE, played } from '../../testing/played.js';

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
      type: 'validation',
      code: 'step.bad_input',
      message: 'The input of the step is invalid: with.to: Must be a string. Got 7.',
      path: 'one',
    });
  });

  it('refuses a value that is too large for the log, as a failure of the step', async () => {
    const { last } = await played({
      yaml: 'name: x\nsteps:\n  - { id: one, uses: echo, with: { value: "${{ [inputs.text, inputs.text] }}" } }\n',
      inputs: { text: 'a'.repeat(200 * 1024) },
    });
    expect(last('workflow.failed')['error']).toMatchObject({ code: 'step.input_too_large', path: 'one' });
  });
});

describe('a time limit', () => {
  it('ends a step that waits', async () => {
    const { elapsed, last } = await played({
      yaml: 'name: x\nsteps: [{ id: nap, wait: { for: 1h }, timeout: 5m }]\n',
    });
    expect(elapsed).toBe(5 * MINUTE);
    expect(last('workflow.failed')['error']).toMatchObject({ code: 'step.timeout', path: 'nap' });
  });

  it('ends a loop as a whole, whatever is inside', async () => {
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

  it('ends the run as a whole', async () => {
    const { elapsed, last, run } = await played({
      yaml: 'name: x\ntimeout: 2m\nsteps:\n  - { id: nap, wait: { for: 1m } }\n  - { wait: { for: 2m } }\n',
    });
    expect({ elapsed, status: run.status }).toEqual({ elapsed: 2 * MINUTE, status: 'failed' });
    expect(last('workflow.failed')['error']).toMatchObject({ code: 'run.timeout' });
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
