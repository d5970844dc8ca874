import { describe, expect, it } from '@jest/globals';

import { testSteps } from '../../../testing/library.js';
import { played } from '../../../testing/played.js';
import type { WorldOptions } from '../../../testing/virtual-world.js';
import { parseWorkflow } from '../../language/reading/parse-workflow.js';
import type { RequestOutcome } from '../kind/step-kind.js';

const yaml = (uses: string, input: string) => `
name: x
steps:
  - { id: go, uses: ${uses}, with: { ${input} }, onError: continue }
outputs: { status: "\${{ steps.go.status }}", output: "\${{ steps.go.output }}", code: "\${{ steps.go.error.code }}" }
`;
const push: WorldOptions['event'] = { type: 'git.push', data: { branch: 'main' } };
const attempt = { deliveryId: 'del_1', eventId: 'e', eventType: 't', attempt: 1, latencyMs: 1 };
const refused: RequestOutcome = {
  type: 'action.refused',
  data: { action: 'a', reason: 'unknown-webhook', detail: 'It is gone.', eventId: 'e' },
};

async function asked(uses: string, input: string, outcome?: RequestOutcome, event: WorldOptions['event'] = push) {
  const { events, last } = await played({
    yaml: yaml(uses, input),
    ...(event && { event }),
    respond: ({ type }) => (type.endsWith('.requested') ? outcome : undefined),
  });
  const request = events.find(({ type }) => type.endsWith('.requested'));
  return { request, outputs: last('workflow.completed')?.['outputs'] as Record<string, unknown> | undefined };
}

describe('send_webhook', () => {
  it('asks for a delivery of the event, and its output is the delivery', async () => {
    const { request, outputs } = await asked('send_webhook', 'webhook: whk_1', {
      type: 'webhook.delivered',
      data: { ...attempt, status: 204 },
    });
    expect(request!.data).toMatchObject({
      webhookId: 'whk_1',
      eventId: 'evt_x',
      event: { stream: 'source-1', revision: '0' },
      requestedBy: { kind: 'run', stepId: 'go' },
    });
    expect(outputs).toMatchObject({
      status: 'completed',
      output: { deliveryId: 'del_1', delivered: true, status: 204 },
    });
  });

  it('takes a failed attempt as an answer: the delivery is retried by the workflow of retries', async () => {
    const { outputs } = await asked('send_webhook', 'url: "https://x.example.com", payload: { a: 1 }', {
      type: 'webhook.failed',
      data: { ...attempt, failureClass: 'status', status: 500, detail: 'answered 500', retryable: true },
    });
    expect(outputs).toMatchObject({ status: 'completed', output: { delivered: false, status: 500, retryable: true } });
  });

  it('fails where the delivery is refused', async () => {
    const { outputs } = await asked('send_webhook', 'webhook: whk_2', refused);
    expect(outputs).toMatchObject({
      status: 'failed',
      code: 'webhook.refused',
      output: { refused: 'unknown-webhook' },
    });
  });

  it('fails where there is nothing to send', async () => {
    const { last } = await played({ yaml: yaml('send_webhook', 'webhook: whk_1') });
    expect(last('workflow.completed')['outputs']).toMatchObject({ code: 'webhook.no_payload' });
  });

  it('needs one receiver', () => {
    const parsed = parseWorkflow(yaml('send_webhook', 'webhook: whk_1, url: "https://x"'), testSteps);
    expect(parsed).toMatchObject({
      ok: false,
      problems: [{ line: 4, column: 41, detail: 'Must have either "webhook" (its whk_ id) or "url".' }],
    });
  });
});

describe('create_issue', () => {
  const issue = { title: 'T', state: 'open', labels: [], assignees: [] };

  it('asks for an issue, and its output is the issue', async () => {
    const { request, outputs } = await asked(
      'create_issue',
      'title: "On ${{ event.data.branch }}", labels: [db], dedupeKey: 7',
      { type: 'issue.created', data: { issueId: 'iss_1', issue } },
    );
    expect(request!.data).toMatchObject({ title: 'On main', labels: ['db'], dedupeKey: '7', eventId: 'evt_x' });
    expect(outputs).toMatchObject({ output: { issueId: 'iss_1', created: true, issue: { title: 'T' } } });
  });

  it('says where it became a comment, and fails where it is refused', async () => {
    const commented = await asked('create_issue', 'title: T', {
      type: 'issue.commented',
      data: { issueId: 'iss_1', commentId: 'c', body: 'Again: T' },
    });
    expect(commented.outputs).toMatchObject({ output: { issueId: 'iss_1', created: false } });
    expect((await asked('create_issue', 'title: T', refused)).outputs).toMatchObject({ code: 'issue.refused' });
  });

  it('goes on at once where it is detached', async () => {
    const { request, outputs } = await asked('create_issue', 'title: T, detached: true');
    expect(request!.data).not.toHaveProperty('detached');
    expect(outputs).toMatchObject({ status: 'completed', output: { requestId: expect.stringMatching(/^evt_/) } });
  });
});

describe('workflow', () => {
  const ofRun = { runId: 'run_2', workflowId: 'wf_2', workflow: 'deploy', startedAt: '2026-01-01T00:00:00.000Z' };

  it('asks for a run, and waits for its outputs', async () => {
    const { request, outputs } = await asked(
      'workflow',
      'workflow: deploy, inputs: { to: "${{ event.data.branch }}" }',
      {
        type: 'workflow.completed',
        data: { ...ofRun, outputs: { url: 'https://x' } },
      },
    );
    expect(request!.data).toMatchObject({ workflow: 'deploy', inputs: { to: 'main' }, isChild: true });
    expect(outputs).toMatchObject({ output: { runId: 'run_2', outputs: { url: 'https://x' } } });
  });

  it('fails as the other run does, with its error', async () => {
    const { outputs } = await asked('workflow', 'workflow: deploy', {
      type: 'workflow.failed',
      data: { ...ofRun, error: { type: 'timeout', code: 'step.timeout', message: 'Too long.', path: 'a' } },
    });
    expect(outputs).toMatchObject({ status: 'failed', code: 'step.timeout', output: { runId: 'run_2' } });
  });

  it.each<[string, RequestOutcome]>([
    ['workflow.cancelled', { type: 'run.cancelled', data: { runId: 'run_2', by: 'token/t' } }],
    [
      'workflow.skipped',
      {
        type: 'workflow.skipped',
        data: { runId: 'run_2', workflowId: 'wf_2', workflow: 'deploy', reason: 'queue-full', detail: 'Full.' },
      },
    ],
    ['workflow.refused', refused],
  ])('fails with %s where there are no outputs', async (code, outcome) => {
    expect((await asked('workflow', 'workflow: deploy', outcome)).outputs).toMatchObject({ status: 'failed', code });
  });

  it.each(['detached: true', 'onParentClose: leave'])('leaves the other run alone with %s', async (option) => {
    const { request } = await asked('workflow', `workflow: deploy, ${option}`);
    expect(request!.data).not.toHaveProperty('isChild');
  });
});
