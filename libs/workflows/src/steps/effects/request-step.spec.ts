import { describe, expect, it } from '@jest/globals';

import { MINUTE, played } from '../../../testing/played.js';
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
