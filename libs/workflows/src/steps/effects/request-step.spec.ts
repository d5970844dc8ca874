import { describe, expect, it } from '@jest/globals';

import { testSteps } from '../../../testing/library.js';
import { MINUTE, played } from '../../../testing/played.js';
import type { WorldOptions } from '../../../testing/virtual-world.js';
import { timelineOf } from '../../run/shown/timeline.js';
import { parseWorkflow } from '../../language/reading/parse-workflow.js';
import type { RequestOutcome } from '../kind/step-kind.js';

const attempt = { deliveryId: 'd', eventId: 'e', eventType: 't', attempt: 2, latencyMs: 1 };
const delivered: RequestOutcome = { type: 'webhook.delivered', data: { ...attempt, status: 200 } };

const yaml = (more = '') => `
name: x
steps:
  - id: again
    uses: redeliver_webhook
    with: { delivery: del_01jq5x1d0wkz4s3v2n8m7b6c5a, after: 2m }
    ${more}
outputs: { again: "\${{ steps.again }}" }
`;
const outputs = ({ last }: Awaited<ReturnType<typeof played>>) => last('workflow.completed')['outputs'];

describe('a step that requests something from another stage', () => {
  it('waits for the outcome, which is its output', async () => {
    const end = await played({ yaml: yaml(), answer: () => delivered });
    expect(end.story).toEqual([
      'workflow.started',
      'workflow.status_changed running',
      'webhook.redelivery_requested',
      'run.step_awaiting again',
      'workflow.status_changed waiting',
      'run.rested',
      'workflow.step_completed again',
      'workflow.completed',
      'workflow.status_changed completed',
    ]);
    expect(outputs(end)).toMatchObject({ again: { status: 'completed', output: { delivered: true, attempt: 2 } } });
    expect(end.elapsed).toBe(2 * MINUTE);
  });

  it('has recorded which request it waits for', async () => {
    const { events, last } = await played({ yaml: yaml(), answer: () => delivered });
    const request = events.find(({ type }) => type === 'webhook.redelivery_requested')!;
    expect(last('run.step_awaiting')).toMatchObject({ requestId: request.id });
    expect(last('run.rested')).toMatchObject({ awaiting: [request.id] });
    expect(request.data).toMatchObject({ requestedBy: { kind: 'run', stepId: 'again' }, afterMs: 2 * MINUTE });
  });

  it('fails when the outcome does not come within its time limit, and waits for it no longer', async () => {
    const end = await played({ yaml: yaml('timeout: 1m\n    onError: continue'), answer: () => delivered });
    expect(outputs(end)).toMatchObject({ again: { status: 'failed', error: { code: 'step.timeout' } } });
    expect(end.elapsed).toBe(MINUTE);
  });

  it.each<[string, RequestOutcome, object]>([
    [
      'another failure',
      { type: 'webhook.failed', data: { ...attempt, failureClass: 'timeout', detail: 'no answer', retryable: true } },
      { delivered: false, failureClass: 'timeout', retryable: true },
    ],
    [
      'a refusal',
      { type: 'action.refused', data: { action: 'redeliver', reason: 'gone', detail: 'It is gone.', eventId: 'e' } },
      { delivered: false, refused: 'gone', retryable: false },
    ],
    [
      'a refusal since it was delivered meanwhile',
      { type: 'action.refused', data: { action: 'redeliver', reason: 'already-delivered', detail: '', eventId: 'e' } },
      { delivered: true, retryable: false },
    ],
  ])('takes %s of a redelivery as an answer', async (_, outcome, output) => {
    const end = await played({ yaml: yaml(), answer: () => outcome });
    expect(outputs(end)).toMatchObject({ again: { status: 'completed', output } });
  });
});

describe('retry of a step that waits for an outcome', () => {
  const ofRun = { runId: 'run_2', workflowId: 'wf_2', workflow: 'deploy', startedAt: '2026-01-01T00:00:00.000Z' };
  const ended: RequestOutcome = { type: 'workflow.completed', data: { ...ofRun, outputs: { url: 'https://x' } } };
  const failed = (code: string, type: 'runtime' | 'validation' = 'runtime'): RequestOutcome => ({
    type: 'workflow.failed',
    data: { ...ofRun, error: { type, code, message: 'No.' } },
  });
  const deploy = (more: string) => `
name: x
steps:
  - { id: go, uses: workflow, with: { workflow: deploy }, onError: continue, ${more} }
outputs: { go: "\${{ steps.go }}" }
`;
  /** @param outcomes of the first request, the second, and so on; the others get no answer. */
  async function asked(yaml: string, outcomes: readonly RequestOutcome[], more: Partial<WorldOptions> = {}) {
    let nth = 0;
    const end = await played({
      yaml,
      respond: ({ type }) => (type.endsWith('.requested') ? outcomes[nth++] : undefined),
      ...more,
    });
    const requests = end.events.filter(({ type }) => type.endsWith('.requested'));
    return { ...end, requests, go: (end.last('workflow.completed')?.['outputs'] as { go: object } | undefined)?.go };
  }

  it('requests it again after the delay, with a request of its own, until it succeeds', async () => {
    const yaml = deploy('retry: { maxAttempts: 3, delay: 1m, jitter: false }');
    const { requests, go, elapsed, events, story } = await asked(yaml, [failed('a.x'), failed('b.x'), ended]);
    expect(go).toMatchObject({ status: 'completed', output: { outputs: { url: 'https://x' } } });
    expect(new Set(requests.map(({ id }) => id)).size).toBe(3);
    expect(elapsed).toBe(3 * MINUTE);
    expect(story.slice(2, 12)).toEqual([
      'workflow.requested',
      'run.step_awaiting go',
      'workflow.status_changed waiting',
      'run.rested',
      'run.attempt_failed go',
      'run.timer_set go',
      'run.rested',
      'run.timer_fired go',
      'workflow.requested',
      'run.step_awaiting go',
    ]);
    expect(events.findLast((event) => event.is('run.rested'))!.data).toMatchObject({ awaiting: [requests[2]!.id] });
    expect(timelineOf(events)).toMatchObject([
      {
        status: 'completed',
        attempts: [
          { attempt: 1, error: { code: 'a.x' }, endedAt: expect.any(String) },
          { attempt: 2, error: { code: 'b.x' }, endedAt: expect.any(String) },
          { attempt: 3, endedAt: expect.any(String) },
        ],
      },
    ]);
  });

  it('fails with the error of the last attempt, and counts them', async () => {
    const yaml = deploy('retry: { maxAttempts: 2, delay: 1m }');
    const { go, last } = await asked(yaml, [failed('a.x'), failed('b.x'), ended]);
    expect(go).toMatchObject({ status: 'failed', error: { code: 'b.x' } });
    expect(last('workflow.error')).toMatchObject({ attempts: 2 });
  });

  it.each<[string, string, RequestOutcome]>([
    ['cannot succeed another time', 'retry: { maxAttempts: 3 }', failed('a.bad_input', 'validation')],
    ['was cancelled', 'retry: { maxAttempts: 3 }', { type: 'run.cancelled', data: { runId: 'run_2', by: 'token/t' } }],
    ['is excepted', 'retry: { exceptWhen: "error.code == \'a.x\'" }', failed('a.x')],
    ['is not meant', 'retry: { when: "error.code == \'b.x\'" }', failed('a.x')],
  ])('does not request again what %s', async (_, more, outcome) => {
    const { requests, go } = await asked(deploy(more), [outcome, ended]);
    expect(requests).toHaveLength(1);
    expect(go).toMatchObject({ status: 'failed' });
  });

  it('follows "when" over the output too, whatever the error is', async () => {
    const yaml = deploy('retry: { delay: 1s, when: "output.runId == \'run_2\' && attempt < `3`" }');
    const { requests, go } = await asked(yaml, [failed('a.bad_input', 'validation'), ended]);
    expect(requests).toHaveLength(2);
    expect(go).toMatchObject({ status: 'completed' });
  });

  it('limits each attempt, not the delays between; an outcome that comes too late is not heard', async () => {
    const yaml = deploy('timeout: 1m, retry: { maxAttempts: 2, delay: 5m, jitter: false }');
    const { go, elapsed, requests } = await asked(yaml, []);
    expect(go).toMatchObject({ status: 'failed', error: { code: 'step.timeout' } });
    expect(elapsed).toBe(7 * MINUTE);
    expect(requests).toHaveLength(2);
  });

  it('asks again for messages, issues and executions of agents that failed', async () => {
    const error = { code: 'x.down', message: 'No.' };
    const outcomes: Record<string, [string, RequestOutcome]> = {
      send_message: [
        'integration: chat, text: hello',
        { type: 'message.failed', data: { error } as unknown as RequestOutcome<'message.failed'>['data'] },
      ],
      create_issue: [
        'title: T',
        { type: 'tracker.failed', data: { error } as unknown as RequestOutcome<'tracker.failed'>['data'] },
      ],
      dispatch_agent: [
        'agent: helper',
        {
          type: 'agent.failed',
          data: {
            error,
            status: 'failed',
            executionId: 'exe_1',
            agent: 'helper',
          } as unknown as RequestOutcome<'agent.failed'>['data'],
        },
      ],
    };
    for (const [uses, [input, outcome]] of Object.entries(outcomes)) {
      const yaml = deploy('retry: { maxAttempts: 2, delay: 1s }')
        .replace('uses: workflow', `uses: ${uses}`)
        .replace('workflow: deploy', input);
      const { requests, go } = await asked(yaml, [outcome, outcome, outcome]);
      expect({ uses, requests: requests.length, go }).toMatchObject({
        uses,
        requests: 2,
        go: { error: { code: 'x.down' } },
      });
    }
  });

  it.each([
    ['set', 'x: 1'],
    ['echo', 'value: 1'],
    ['emit', 'type: webhook.exhausted, data: { deliveryId: d, attempts: 1 }'],
    ['redeliver_webhook', 'delivery: del_01jq5x1d0wkz4s3v2n8m7b6c5a'],
    ['send_webhook', 'webhook: whk_1'],
    ['workflow', 'workflow: deploy, detached: true'],
  ])('of "%s" is warned about: it has no effect', async (uses, input) => {
    const yaml = `name: x\nsteps:\n  - uses: ${uses}\n    with: { ${input} }\n    retry: { maxAttempts: 2 }\n`;
    const parsed = parseWorkflow(yaml, testSteps);
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
    expect(parsed.warnings()).toEqual([
      expect.objectContaining({
        code: 'workflow.useless_retry',
        line: 5,
        column: 12,
        detail: expect.stringMatching(/^"retry" has no effect on ".*Remove "retry"\.$/),
      }),
    ]);
    const gone: RequestOutcome = {
      type: 'action.refused',
      data: { action: 'a', reason: 'unknown-webhook', detail: 'It is gone.', eventId: 'e' },
    };
    const event = { type: 'git.push', data: { branch: 'main' } };
    const { requests } = await asked(`${yaml}    onError: continue\n`, [gone], { answer: () => gone, event });
    expect(requests.length).toBeLessThan(2);
  });

  it('is an error on steps without "uses", with what to do instead', () => {
    const problemsOf = (step: string) => {
      const parsed = parseWorkflow(`name: x\nsteps:\n  - ${step}\n    retry: { maxAttempts: 2 }\n`, testSteps);
      return parsed.ok ? [] : parsed.problems.map(({ line, column, detail }) => `${line}:${column} ${detail}`);
    };
    expect(problemsOf('parallel: [{ steps: [{ wait: { for: 1s } }] }]')).toEqual([
      '4:5 "retry" must be used with "uses". Put it on the steps inside.',
    ]);
    expect(problemsOf('waitForEvent: { event: git.push, timeout: 1m }')).toEqual([
      '4:5 "retry" must be used with "uses". To wait again, put the step into "while", with "onError: continue".',
    ]);
  });
});
