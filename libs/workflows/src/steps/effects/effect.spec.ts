import { describe, expect, it } from '@jest/globals';

import { failing, played } from '../../../testing/played.js';

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

  it.each([
    ['when is true, whatever the step says', 'when: "error.code == \'call.busy\' && output.status == `404`"', 3],
    ['when is false, although another attempt may help', "when: error.type == 'timeout'", 1],
    ['exceptWhen is false', 'exceptWhen: attempt > `9`, when: true', 3],
    ['exceptWhen is true', 'exceptWhen: attempt == `2`, when: true', 2],
  ])('is tried again as its retry says: %s', async (_, conditions, attempts) => {
    let calls = 0;
    await played({
      yaml: `name: x\nsteps: [{ uses: call, with: { to: x }, retry: { maxAttempts: 3, delay: 1s, ${conditions} } }]\n`,
      makeAttempt: () => {
        calls++;
        return Promise.reject(failing({ retryable: calls === 1 && attempts === 1, output: { status: 404 } }));
      },
    });
    expect(calls).toBe(attempts);
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
      type: 'runtime',
      code: 'step.bug',
      message: 'The step failed with an unexpected error: x is not a function',
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
