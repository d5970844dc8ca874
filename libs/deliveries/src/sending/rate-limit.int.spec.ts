import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { followers } from '#libs/events/src/followers.js';
import type { NewWebhook, WebhookChanges } from '#libs/events/src/shapes/webhook-shape.js';
import { streams } from '#libs/events/src/streams.js';
import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { createTestDatabase, type TestDatabase } from '../../../../test/support/database.js';
import { Receiver } from '../../../../test/support/receiver.js';
import { Running } from '../../testing/running.js';
import type { DeliveryAnswer } from '../delivery/delivery.body.js';
import { countPaced } from '../delivery/expected-times.adapter.js';

let database: TestDatabase;
let stage: Running;
let receiver: Receiver;
let status: number;
const closers: (() => Promise<unknown>)[] = [];

beforeEach(async () => {
  status = 200;
  database = await createTestDatabase();
  receiver = await Receiver.start(() => status);
  stage = await Running.start(database.url);
  closers.push(
    () => database.drop(),
    () => receiver.stop(),
    () => stage.stop(),
  );
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const create = (more: Partial<NewWebhook>) =>
  stage.webhooks.create(stage.caller, { url: receiver.url, events: ['git.push'], disabled: true, ...more });
const enabled = async (more: Partial<NewWebhook>) => {
  const { id } = await create(more);
  await change(id, { disabled: false });
  return id;
};
const change = (id: string, changes: WebhookChanges) => stage.webhooks.change(stage.caller, id, changes);
const push = (branch: string) => stage.append('git.push', { branch } as never);
const pushAll = async (count: number) => {
  for (let i = 0; i < count; i++) await push(String(i));
};
/** The oldest first. */
const deliveriesOf = async (webhookId: string): Promise<readonly DeliveryAnswer[]> =>
  (await stage.deliveries.listOfWebhook(stage.caller, webhookId, { limit: '200' })).data.toReversed();
const branches = () =>
  receiver.calls.map(({ body }) => (JSON.parse(body.toString()) as { data: { branch: string } }).data.branch);
const received = (count: number) => waitFor(`${count} calls`, () => receiver.calls.length >= count);
const finished = (webhookId: string, end: string, count: number) =>
  waitFor(`${count} deliveries are ${end}`, async () => {
    const all = await deliveriesOf(webhookId);
    return all.filter((one) => one.status === end).length === count && all;
  });
const waiting = (webhookId: string, count: number) =>
  waitFor(`${count} deliveries wait`, async () => {
    const all = await deliveriesOf(webhookId);
    const those = all.filter(({ waitsFor }) => waitsFor === 'rate_limit');
    return those.length === count && those;
  });

/** Most calls in any such period. */
const mostWithin = (milliseconds: number): number => {
  const times = receiver.calls.map(({ at }) => at).sort((a, b) => a - b);
  return Math.max(...times.map((time, i) => times.slice(i).filter((other) => other < time + milliseconds).length));
};

describe('a webhook with a rate limit', () => {
  it('is sent its deliveries in order, no faster than that', async () => {
    const id = await enabled({ rateLimit: { limit: 1, per: '1s' } });
    await pushAll(4);
    await finished(id, 'success', 4);
    expect(branches()).toEqual(['0', '1', '2', '3']);
    expect(mostWithin(1_000)).toBe(1);
  });

  it('shows when what waits will have its turn', async () => {
    const before = Date.now();
    const id = await enabled({ rateLimit: { limit: 2, per: '1h' } });
    expect(await stage.webhooks.view(stage.caller, id)).toMatchObject({ rateLimit: { limit: 2, per: '1h' } });
    await pushAll(7);
    const held = await waiting(id, 5);
    const hours = held.map(({ nextAttemptAt }) => Math.floor((Date.parse(nextAttemptAt!) - before) / 3_600_000));
    expect(hours).toEqual([1, 1, 2, 2, 3]);
    expect(held.map(({ status: is }) => is)).toEqual(Array(5).fill('pending'));
    expect(await stage.deliveries.view(stage.caller, held[0]!.id)).toMatchObject({ waitsFor: 'rate_limit' });
    expect(await countPaced(stage.dataSource)).toBe(5);
    await received(2);
    expect(branches().sort()).toEqual(['0', '1']);
  });

  it('has one rate over all processes', async () => {
    const other = await Running.start(database.url, stage);
    closers.push(() => other.stop());
    const id = await enabled({ rateLimit: { limit: 5, per: '1s' } });
    await pushAll(17);
    await finished(id, 'success', 17);
    expect(mostWithin(1_000)).toBe(5);
    expect(new Set(branches()).size).toBe(17);
    expect(receiver.calls).toHaveLength(17);
  });

  it('is tested at once', async () => {
    const id = await enabled({ rateLimit: { limit: 1, per: '1d' } });
    await pushAll(2);
    await waiting(id, 1);
    expect(await stage.webhooks.test(stage.caller, id)).toMatchObject({ status: 'success' });
  });

  it('holds up no other webhook', async () => {
    const slow = await enabled({ rateLimit: { limit: 1, per: '1d' } });
    const free = await enabled({});
    await pushAll(5);
    await finished(free, 'success', 5);
    await waiting(slow, 4);
  });
});

describe('what waits', () => {
  it('is sent when the limit is raised, and all of it when there is none any more', async () => {
    const id = await enabled({ rateLimit: { limit: 1, per: '1d' } });
    await pushAll(6);
    await waiting(id, 5);
    await change(id, { rateLimit: { limit: 3, per: '1d' } });
    await finished(id, 'success', 3);
    await waiting(id, 3);
    const rows = await waitFor('the next look to be planned', async () => {
      const found = await stage.dataSource.query<{ state: string }[]>(
        "select state, tries, failures, reason from views.work where queue = 'deliveries.pace'",
      );
      return found[0]?.state === 'sleeping' && found;
    });
    expect(rows).toEqual([{ state: 'sleeping', tries: 0, failures: 0, reason: null }]);
    await change(id, { rateLimit: null });
    await finished(id, 'success', 6);
    expect(receiver.calls).toHaveLength(6);
    expect(await stage.dataSource.query('select 1 from views.paced_attempts')).toEqual([]);
  });

  it('fails when its webhook is disabled, as everything that is due then', async () => {
    const id = await enabled({ rateLimit: { limit: 1, per: '1d' } });
    await pushAll(4);
    await waiting(id, 3);
    await change(id, { disabled: true });
    const all = await finished(id, 'failed', 3);
    expect(all.map(({ failureClass }) => failureClass)).toEqual([null, ...Array<string>(3).fill('refused_address')]);
    expect(receiver.calls).toHaveLength(1);
  });

  it('includes retries, and the backlog from before there was a limit', async () => {
    status = 500;
    const id = await enabled({});
    const stream = streams.run('run_1');
    const requestedBy = { kind: 'run' as const, runId: 'run_1', stepId: 'redeliver' };
    const retry = async (deliveryId: string, afterMs: number) => {
      const { position } = await stage.append(
        'webhook.redelivery_requested',
        { requestedBy, deliveryId, afterMs },
        { stream },
      );
      await stage.runner.whenProcessed(followers.scheduleDeliveries, position);
    };
    await pushAll(2);
    const tried = await waitFor('both have failed once', async () => {
      const all = await deliveriesOf(id);
      return all.length === 2 && all.every(({ attempts }) => attempts === 1) && all;
    });
    // One retry is planned before there is a limit, the other one after.
    await retry(tried[0]!.id, 3_600_000);
    await change(id, { rateLimit: { limit: 1, per: '1d' } });
    await retry(tried[1]!.id, 1);
    await waiting(id, 1);
    expect(receiver.calls.length).toBeLessThanOrEqual(3);
    const inHours = await waitFor('the retry before the limit waits too', async () => {
      const [first] = await deliveriesOf(id);
      return first!.waitsFor === 'rate_limit' && Date.parse(first!.nextAttemptAt!) - Date.now();
    });
    expect(inHours).toBeGreaterThan(3_000_000);
    status = 200;
    await change(id, { rateLimit: { limit: 100, per: '1s' } });
    await waitFor('the due retry', async () => (await deliveriesOf(id))[1]!.attempts >= 2);
    expect((await deliveriesOf(id))[0]).toMatchObject({ attempts: 1, waitsFor: 'rate_limit' });
  });

  it('is withdrawn by the run that asked for it', async () => {
    status = 500;
    const id = await enabled({ rateLimit: { limit: 1, per: '1d' } });
    await push('main');
    const [failed] = await waitFor('it has failed once', async () => {
      const all = await deliveriesOf(id);
      return all[0]?.attempts === 1 && all;
    });
    const stream = streams.run('run_1');
    const requestedBy = { kind: 'run' as const, runId: 'run_1', stepId: 'redeliver' };
    const deliveryId = failed!.id;
    const request = await stage.append(
      'webhook.redelivery_requested',
      { requestedBy, deliveryId, afterMs: 1 },
      { stream },
    );
    await waiting(id, 1);
    const about = { runId: 'run_1', requestId: request.id, request: 'webhook.redelivery_requested', deliveryId };
    await stage.append('run.request_withdrawn', about, { stream });
    const [ended] = await finished(id, 'failed', 1);
    expect(ended).toMatchObject({ nextAttemptAt: null, waitsFor: null });
    expect(await countPaced(stage.dataSource)).toBe(0);
  });
});

describe('a rate limit', () => {
  it.each([
    [{ limit: 1, per: '100ms' }, '/rateLimit/per'],
    [{ limit: 0, per: '1s' }, '/rateLimit/limit'],
    [0, '/rateLimit'],
    [{ limit: 1, every: '1s' }, '/rateLimit/every'],
  ])('of %j is refused', async (rateLimit, pointer) => {
    await expect(create({ rateLimit: rateLimit })).rejects.toMatchObject({
      problems: expect.arrayContaining([expect.objectContaining({ pointer })]),
    });
  });
});
