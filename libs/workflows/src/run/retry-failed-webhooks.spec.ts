import { readFileSync } from 'node:fs';

import { describe, expect, it } from '@jest/globals';

import type { DataOf } from '#libs/events/src/catalogue.js';

import { VirtualWorld } from '../../testing/virtual-world.js';
import type { RequestOutcome } from '../steps/kind/step-kind.js';
import { judge } from '../triggers/registry.js';

const yaml = readFileSync(new URL('../../../../workflows/retry-failed-webhooks.yaml', import.meta.url), 'utf8');
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const SCHEDULE = [MINUTE, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 24 * HOUR];

const deliveryId = 'del_01jq5x1d0wkz4s3v2n8m7b6c5a';
const first: DataOf<'webhook.failed'> = {
  deliveryId,
  webhookId: 'whk_01jq5x1d0wkz4s3v2n8m7b6c5a',
  eventId: 'evt_01jq5x1d0wkz4s3v2n8m7b6c5a',
  eventType: 'git.push',
  attempt: 1,
  latencyMs: 3,
  failureClass: 'status',
  status: 500,
  detail: 'the receiver answered 500',
  retryable: true,
};
const failed = (attempt: number, more: object = {}): RequestOutcome => ({
  type: 'webhook.failed',
  data: { ...first, attempt, ...more },
});
const delivered = (attempt: number): RequestOutcome => {
  const { deliveryId, webhookId, eventId, eventType, latencyMs } = first;
  return {
    type: 'webhook.delivered',
    data: { deliveryId, webhookId: webhookId!, eventId, eventType, latencyMs, attempt, status: 200 },
  };
};
const refused = (reason: string): RequestOutcome => ({
  type: 'action.refused',
  data: { action: 'redeliver_webhook', reason, detail: 'It is gone.', eventId: first.eventId },
});

async function retried(answer: (nth: number) => RequestOutcome, data: object = first) {
  const world = new VirtualWorld({
    yaml,
    event: { type: 'webhook.failed', data: data as never },
    answer,
    retrySchedule: SCHEDULE,
  });
  const events = await world.toTheEnd();
  const started = Date.parse('2026-01-01T00:00:00.000Z');
  return {
    run: await world.run(),
    asked: events
      .filter((event) => event.is('webhook.redelivery_requested'))
      .map(({ data, metadata }) => ({ after: data.afterMs, at: Date.parse(metadata.timestamp) - started })),
    exhausted: events.find((event) => event.is('webhook.exhausted')),
    outputs: events.find((event) => event.is('workflow.completed'))?.data.outputs,
    elapsed: world.clock.now().getTime() - started,
  };
}

describe('the shipped retry of webhooks', () => {
  it('tries for 26 hours, each delay counted from the failure before, then gives up and says so', async () => {
    const { run, asked, exhausted, outputs, elapsed } = await retried((nth) => failed(nth + 1));
    expect(asked.map(({ after }) => after)).toEqual(SCHEDULE);
    expect(asked.map(({ at }) => at)).toEqual([0, 1, 6, 36, 156].map((minutes) => minutes * MINUTE));
    expect(elapsed).toBe(26 * HOUR + 36 * MINUTE);
    expect(exhausted!.data).toEqual({ deliveryId, webhookId: first.webhookId, attempts: 6 });
    expect({ status: run.status, outputs }).toEqual({
      status: 'completed',
      outputs: { delivered: false, attempts: 6 },
    });
  });

  it('ends with the first attempt that succeeds', async () => {
    const { asked, exhausted, outputs, elapsed } = await retried((nth) => (nth < 3 ? failed(nth + 1) : delivered(4)));
    expect(asked).toHaveLength(3);
    expect(elapsed).toBe(36 * MINUTE);
    expect({ exhausted, outputs }).toEqual({ exhausted: undefined, outputs: { delivered: true, attempts: 4 } });
  });

  it('gives up at once where the receiver says that it is gone for good', async () => {
    const { asked, exhausted } = await retried((nth) => failed(nth + 1, { status: 410, retryable: false }));
    expect(asked).toHaveLength(1);
    expect(exhausted!.data).toMatchObject({ attempts: 2 });
  });

  it.each(['unknown-delivery', 'webhook-disabled', 'test-delivery'])(
    'gives up where the request is refused: %s',
    async (reason) => {
      const { run, asked, exhausted } = await retried(() => refused(reason));
      expect(asked).toHaveLength(1);
      expect(run.status).toBe('completed');
      expect(exhausted!.data).toMatchObject({ deliveryId, attempts: 1 });
    },
  );

  it('takes a delivery that succeeded meanwhile for delivered', async () => {
    const { exhausted, outputs } = await retried(() => refused('already-delivered'));
    expect({ exhausted, outputs }).toEqual({ exhausted: undefined, outputs: { delivered: true, attempts: 1 } });
  });

  it('leaves out the webhook where the delivery went to a bare URL', async () => {
    const { webhookId: _, ...bare } = first;
    const { run, exhausted } = await retried((nth) => failed(nth + 1), bare);
    expect(run.status).toBe('completed');
    expect(exhausted!.data).toEqual({ deliveryId, attempts: 6 });
  });

  it('fails after five days without an answer', async () => {
    const world = new VirtualWorld({
      yaml,
      event: { type: 'webhook.failed', data: first },
      retrySchedule: SCHEDULE,
    });
    await world.toTheEnd();
    expect((await world.run()).status).toBe('failed');
  });

  it('begins with the first failure of a delivery, and only where another attempt may help', () => {
    const [trigger] = new VirtualWorld({ yaml }).definition.triggers;
    const begins = (data: object) =>
      trigger?.type === 'event' &&
      judge(
        trigger,
        {
          id: 'evt_x',
          type: 'webhook.failed',
          source: 'millrace',
          subject: '',
          orgId: 'org_x',
          timestamp: '',
          data: data as never,
        },
        { workflowId: 'wf_1', receiver: undefined },
      ).kind === 'fits';
    expect(begins(first)).toBe(true);
    expect(begins({ ...first, attempt: 2 })).toBe(false);
    expect(begins({ ...first, retryable: false })).toBe(false);
  });
});
