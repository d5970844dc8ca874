import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { eventIdOf } from '#libs/events/src/envelope.js';
import { followers } from '#libs/events/src/followers.js';
import type { NewWebhook, WebhookChanges } from '#libs/events/src/shapes/webhook-shape.js';
import { streams } from '#libs/events/src/streams.js';
import { newId } from '#libs/kernel/src/ids.js';
import { waitFor } from '#libs/kernel/testing/wait-for.js';
import { verifyHexSignature, verifyWebhook } from '#libs/plugin-sdk/src/verify-webhook.js';

import { createTestDatabase } from '../../../../test/support/database.js';
import { Running } from '../../testing/running.js';
import type { DeliveryAnswer } from './delivery.body.js';

interface Call {
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

let stage: Running;
const closers: (() => Promise<unknown> | void)[] = [];

beforeEach(async () => {
  const database = await createTestDatabase();
  closers.push(() => database.drop());
  stage = await Running.start(database.url);
  closers.push(() => stage.stop());
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

type Answer = (call: Call, reply: ServerResponse, nth: number) => void;
const status =
  (code: number, headers: Record<string, string> = {}): Answer =>
  (_, reply) =>
    void reply.writeHead(code, headers).end(`status ${code}`);

/** A receiver that answers its nth call (from 1) of each message as told. Test deliveries get `toTests`. */
async function receiver(answer: Answer, toTests = 200) {
  const calls: Call[] = [];
  const counts = new Map<string, number>();
  const server = http.createServer((request, reply) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      if (request.headers['x-millrace-event'] === 'webhook.test') return void reply.writeHead(toTests).end('tested');
      const call = { headers: request.headers, body };
      calls.push(call);
      const id = String(request.headers['webhook-id']);
      counts.set(id, (counts.get(id) ?? 0) + 1);
      answer(call, reply, counts.get(id)!);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return { calls, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook` };
}

const create = (url: string, more: Partial<NewWebhook> = {}) =>
  stage.webhooks.create(stage.caller, { url, events: ['git.push'], ...more });
const push = () => stage.append('git.push', { branch: 'main' } as never);
const deliveriesOf = async (webhookId: string, filters = {}): Promise<readonly DeliveryAnswer[]> =>
  (await stage.deliveries.listOfWebhook(stage.caller, webhookId, { limit: '200', ...filters })).data.filter(
    ({ kind }) => kind !== 'test',
  );
/** The one delivery of a webhook, once it has come to `end`. */
const finished = (webhookId: string, end: string) =>
  waitFor(`the delivery is ${end}`, async () => (await deliveriesOf(webhookId)).find((one) => one.status === end));
const failedOnce = (webhookId: string) =>
  waitFor('an attempt has failed', async () => (await deliveriesOf(webhookId)).find((one) => one.attempts > 0));

function retrying(times: number, afterMs: number): void {
  const controller = new AbortController();
  const ended = stage.retryFailures(times, afterMs, controller.signal);
  closers.push(() => {
    controller.abort();
    return ended;
  });
}

describe('setting up a webhook', () => {
  it('answers with its secret, once, and with how a test delivery went', async () => {
    const { url } = await receiver(status(200));
    const created = await create(url);
    expect(created).toMatchObject({ url, events: ['git.push'], format: 'platform', status: 'active', sendCount: 0 });
    expect(created.secret).toMatch(/^whsec_/);
    expect(created.testDelivery).toMatchObject({ status: 'success', responseCode: 200, failureClass: null });
    const seen = await stage.webhooks.view(stage.caller, created.id);
    expect(seen).not.toHaveProperty('secret');
    expect((await stage.webhooks.list(stage.caller)).data).toEqual([seen]);
    const test = await stage.deliveries.view(stage.caller, created.testDelivery.deliveryId!);
    expect(test).toMatchObject({ kind: 'test', status: 'success', attemptCount: 1 });
  });

  it('succeeds although the test delivery fails, and says why', async () => {
    const created = await create('http://127.0.0.1:1/nobody');
    expect(created.testDelivery).toMatchObject({ status: 'failed', failureClass: 'connect', responseCode: null });
    expect(created.testDelivery.detail).toMatch(/ECONNREFUSED/);
    expect(created.status).toBe('active');
    expect(await stage.logged('webhook.failed')).toEqual([
      expect.objectContaining({ data: expect.objectContaining({ retryable: false }) }),
    ]);
  });

  it('says that the receiver could not know the generated secret, where it refused the test', async () => {
    const { url } = await receiver(status(200), 401);
    const hint = /answered 401\. The receiver did not have the generated secret yet.*POST …\/test/;
    expect((await create(url)).testDelivery).toMatchObject({ responseCode: 401, detail: expect.stringMatching(hint) });
    const { testDelivery } = await create(url, { secret: 'a-secret-that-both-sides-know' });
    expect(testDelivery.detail).not.toMatch(hint);
  });

  it('switched off sends no test', async () => {
    const created = await create('http://127.0.0.1:1/nobody', { disabled: true });
    expect(created.testDelivery.status).toBe('skipped');
    expect(created.status).toBe('disabled');
    expect(await stage.webhooks.test(stage.caller, created.id)).toMatchObject({ status: 'failed' });
  });

  it('with the same Idempotency-Key is the same webhook with the same secret', async () => {
    const { url } = await receiver(status(200));
    const caller = { ...stage.caller, idempotencyKey: 'once' };
    const body = { url, events: ['git.push'], headers: { 'X-A': 'b' } };
    const first = await stage.webhooks.create(caller, body);
    const second = await stage.webhooks.create(caller, body);
    expect({ ...second, testDelivery: null }).toEqual({ ...first, testDelivery: null });
  });

  it.each(['http://10.0.0.1/', 'http://169.254.169.254/', 'ftp://127.0.0.1/', 'http://u:p@127.0.0.1/', 'nonsense'])(
    'is refused for the URL %s, and nothing is kept',
    async (url) => {
      await expect(create(url)).rejects.toMatchObject({ problems: [expect.objectContaining({ pointer: '/url' })] });
      expect(await stage.store.head()).toBe(0n);
      expect(stage.secrets.kept.size).toBe(0);
    },
  );

  it('keeps header values and secrets out of the log and out of answers', async () => {
    const { url, calls } = await receiver(status(200));
    const created = await create(url, { headers: { Authorization: 'Bearer t0psecret' }, secret: 'a secret of mine' });
    expect(created.headers).toEqual({ Authorization: '(hidden)' });
    await push();
    await finished(created.id, 'success');
    expect(calls[0]!.headers.authorization).toBe('Bearer t0psecret');
    const { events } = await stage.store.readAll({ from: 0n, limit: 1000 });
    expect(events.map(({ dataJson, metadataJson }) => dataJson + metadataJson).join()).not.toMatch(/t0psecret|of mine/);
  });

  it('is not seen by another organisation', async () => {
    const { url } = await receiver(status(200));
    const { id, testDelivery } = await create(url);
    const stranger = { ...stage.caller, orgId: 'org_00000000000000000000000002' };
    const notFound = expect.objectContaining({ kind: 'not_found' });
    await expect(stage.webhooks.view(stranger, id)).rejects.toEqual(notFound);
    await expect(stage.webhooks.change(stranger, id, {})).rejects.toEqual(notFound);
    await expect(stage.webhooks.remove(stranger, id)).rejects.toEqual(notFound);
    await expect(stage.webhooks.test(stranger, id)).rejects.toEqual(notFound);
    await expect(stage.webhooks.recover(stranger, id, { since: '2026-01-01T00:00:00Z' })).rejects.toEqual(notFound);
    await expect(stage.deliveries.listOfWebhook(stranger, id, {})).rejects.toEqual(notFound);
    await expect(stage.deliveries.view(stranger, testDelivery.deliveryId!)).rejects.toEqual(notFound);
    await expect(stage.deliveries.redeliver(stranger, testDelivery.deliveryId!)).rejects.toEqual(notFound);
    expect((await stage.webhooks.list(stranger)).data).toEqual([]);
    expect((await stage.deliveries.list(stranger, {})).data).toEqual([]);
  });
});

describe('an event', () => {
  it('is delivered, signed so that the receiver can verify it', async () => {
    const { url, calls } = await receiver(status(200));
    const { id, secret } = await create(url);
    const event = await push();
    const delivery = await finished(id, 'success');
    expect(delivery).toMatchObject({
      eventId: eventIdOf(event.id),
      eventType: 'git.push',
      attempts: 1,
      responseCode: 200,
      kind: 'subscription',
    });
    const [{ headers, body }] = calls as [Call];
    expect(headers).toMatchObject({
      'x-millrace-event': 'git.push',
      'x-millrace-delivery': delivery.id,
      'webhook-id': delivery.messageId,
    });
    expect(JSON.parse(body)).toMatchObject({ id: eventIdOf(event.id), type: 'git.push', data: { branch: 'main' } });
    expect(verifyWebhook(body, headers, secret!)).toMatchObject({ ok: true, messageId: delivery.messageId });
    expect(verifyHexSignature(body, String(headers['x-millrace-signature']), secret!)).toBe(true);
    expect(await stage.webhooks.view(stage.caller, id)).toMatchObject({ sendCount: 1, failureCount: 0 });
  });

  it('that fails twice is delivered by the third attempt, all of the same message', async () => {
    const { url, calls } = await receiver((call, reply, nth) => status(nth <= 2 ? 500 : 200)(call, reply, nth));
    retrying(5, 50);
    const { id } = await create(url);
    await push();
    const delivery = await finished(id, 'success');
    expect(delivery).toMatchObject({ attempts: 3, responseCode: 200, failureClass: null, nextAttemptAt: null });
    expect(calls).toHaveLength(3);
    expect(new Set(calls.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
    expect(new Set(calls.map(({ body }) => body)).size).toBe(1);
    const detail = await stage.deliveries.view(stage.caller, delivery.id);
    expect(await stage.deliveries.viewAmongWebhooks(stage.caller, delivery.id)).toEqual(detail);
    expect(await stage.deliveries.viewOfWebhook(stage.caller, id, delivery.id)).toEqual(detail);
    await expect(stage.deliveries.viewOfWebhook(stage.caller, newId('whk'), delivery.id)).rejects.toMatchObject({
      code: 'delivery.not_found',
    });
    expect(detail.attempts).toMatchObject([
      { attempt: 1, outcome: 'failed', status: 500, failureClass: 'status', response: { body: 'status 500' } },
      { attempt: 2, outcome: 'failed', status: 500 },
      { attempt: 3, outcome: 'delivered', status: 200, request: { body: calls[2]!.body, url } },
    ]);
    const requests = await stage.logged('webhook.redelivery_requested');
    const [, second, third] = [...(await stage.logged('webhook.failed')), ...(await stage.logged('webhook.delivered'))]
      .filter((event) => event.data.deliveryId === delivery.id)
      .map(({ metadata }) => metadata.$causationId);
    expect([second, third]).toEqual(requests.map(({ id: request }) => request));
    expect(await stage.webhooks.view(stage.caller, id)).toMatchObject({
      sendCount: 3,
      failureCount: 2,
      consecutiveFailures: 0,
      health: {
        state: 'healthy',
        lastSuccessAt: detail.finishedAt,
        lastFailureAt: expect.any(String),
        lastFailure: 'the receiver answered 500',
        disabledFrom: null,
      },
    });
  });

  it('that never succeeds has failed for good when its attempts are exhausted', async () => {
    const { url, calls } = await receiver(status(503, { 'Retry-After': '0' }));
    retrying(2, 10);
    const { id } = await create(url);
    await push();
    expect(await finished(id, 'failed')).toMatchObject({ attempts: 3, responseCode: 503, failureClass: 'status' });
    expect(calls).toHaveLength(3);
  });

  it('is not retried unless somebody asks for it', async () => {
    const { url, calls } = await receiver(status(500));
    const { id, health } = await create(url);
    expect(health).toEqual({
      state: 'unknown',
      lastSuccessAt: null,
      lastFailureAt: null,
      lastFailure: null,
      disabledFrom: null,
    });
    await push();
    expect(await failedOnce(id)).toMatchObject({ status: 'pending', nextAttemptAt: null, failureClass: 'status' });
    const failing = await stage.webhooks.view(stage.caller, id);
    expect(failing.health).toMatchObject({ state: 'failing', lastSuccessAt: null });
    const patience = Date.parse(failing.health.disabledFrom!) - Date.parse(failing.failingSince!);
    expect(patience).toBe(5 * 24 * 60 * 60 * 1000);
    await stage.runner.whenProcessed(followers.scheduleDeliveries, (await push()).position);
    expect(calls.length).toBeLessThanOrEqual(2);
    const rows = await stage.dataSource.query('select key from views.work where key = $1', [(await failedOnce(id)).id]);
    expect(rows).toHaveLength(0);
  });

  it('is not attempted again once the run that asked for it is cancelled, unless the attempt is another one', async () => {
    const { url, calls } = await receiver(status(500));
    const { id } = await create(url);
    await push();
    const { id: deliveryId } = await failedOnce(id);
    const stream = streams.run('run_1');
    const requestedBy = { kind: 'run' as const, runId: 'run_1', stepId: 'redeliver' };
    const data = { requestedBy, deliveryId, afterMs: 3_600_000 };
    const request = await stage.append('webhook.redelivery_requested', data, { stream });
    const planned = await waitFor('the attempt to be planned', async () => {
      const [one] = await deliveriesOf(id);
      return typeof one?.nextAttemptAt === 'string' && one;
    });
    expect(planned.status).toBe('pending');
    const withdraw = async (requestId: string) => {
      const about = { runId: 'run_1', requestId, request: 'webhook.redelivery_requested', deliveryId };
      const { position } = await stage.append('run.request_withdrawn', about, { stream });
      await stage.runner.whenProcessed(followers.scheduleDeliveries, position);
      return (await deliveriesOf(id))[0];
    };
    expect(await withdraw('0194b3d0-8f6a-5b7e-9c51-0d4f2f1a7c11')).toEqual(planned);
    expect(await withdraw(request.id)).toMatchObject({ status: 'failed', nextAttemptAt: null, attempts: 1 });
    expect(await stage.dataSource.query('select key from views.work where key = $1', [deliveryId])).toEqual([]);
    expect(calls).toHaveLength(1);
  });

  it('answered with 410 disables the webhook at once', async () => {
    const { url } = await receiver(status(410));
    const { id } = await create(url);
    await push();
    await finished(id, 'failed');
    const webhook = await waitFor('it is disabled', async () => {
      const seen = await stage.webhooks.view(stage.caller, id);
      return seen.status === 'disabled' && seen;
    });
    expect(webhook).toMatchObject({ disabledReason: 'gone', disabled: true, health: { state: 'disabled' } });
    const { position } = await push();
    await stage.runner.whenProcessed(followers.scheduleDeliveries, position);
    expect(await deliveriesOf(id)).toHaveLength(1);
    expect(await stage.logged('webhook.disabled')).toHaveLength(1);
  });

  it('for a receiver that does not answer takes one of its few places, and holds up nobody else', async () => {
    const held: (() => void)[] = [];
    let most = 0;
    const slow = await receiver((_, reply) => {
      held.push(() => reply.end());
      most = Math.max(most, held.length);
    });
    const quick = await receiver(status(200));
    // Longer than the test takes anywhere: what is given up makes room for the next.
    const { id: slowId } = await create(slow.url, { timeoutMs: 120_000 });
    const { id: quickId } = await create(quick.url);
    const count = 30;
    for (let i = 0; i < count; i++) await push();
    await waitFor('the quick one has all', async () => {
      return (await deliveriesOf(quickId, { status: 'success' })).length === count;
    });
    // Eight to begin with, and one more since it answered the test delivery of a new webhook.
    await waitFor('its places are taken', async () => held.length >= 9);
    expect(most).toBe(9);
    expect(await deliveriesOf(slowId, { status: 'success' })).toHaveLength(0);
    const release = setInterval(() => held.splice(0).forEach((answer) => answer()), 5);
    closers.push(() => clearInterval(release));
    await waitFor('the slow one has all', async () => {
      return (await deliveriesOf(slowId, { status: 'success' })).length === count;
    });
    expect(most).toBeLessThanOrEqual(64);
    expect(slow.calls).toHaveLength(count);
  });
});

describe('changing a webhook', () => {
  const change = (id: string, body: WebhookChanges) => stage.webhooks.change(stage.caller, id, body);

  it('holds for every event after the answer', async () => {
    const [one, two] = [await receiver(status(200)), await receiver(status(200))];
    const { id } = await create(one.url);
    await change(id, { url: two.url });
    await push();
    await finished(id, 'success');
    expect([one.calls.length, two.calls.length]).toEqual([0, 1]);
  });

  it('of its secret signs with both for the time of grace', async () => {
    const { url, calls } = await receiver(status(200));
    const { id, secret } = await create(url);
    const rotated = await change(id, { rotateSecret: true, graceSeconds: 600 });
    expect(rotated.secret).toMatch(/^whsec_/);
    expect(rotated.secret).not.toBe(secret);
    expect(rotated.graceUntil).not.toBeNull();
    await push();
    await finished(id, 'success');
    const [{ headers, body }] = calls as [Call];
    for (const known of [secret!, rotated.secret!]) expect(verifyWebhook(body, headers, known).ok).toBe(true);
    expect(verifyHexSignature(body, String(headers['x-millrace-signature']), rotated.secret!)).toBe(true);
  });

  it('switches it off and on, and takes parts away', async () => {
    const { url, calls } = await receiver(status(200));
    const { id } = await create(url, { filter: 'data.branch', headers: { 'X-A': 'b' }, signatureHeader: 'X-Sig' });
    expect(await change(id, { disabled: true })).toMatchObject({ status: 'disabled', disabledReason: 'manual' });
    const { position } = await push();
    await stage.runner.whenProcessed(followers.scheduleDeliveries, position);
    expect(await change(id, { disabled: false, filter: null, headers: null, signatureHeader: null })).toMatchObject({
      status: 'active',
      disabledReason: null,
      filter: null,
      headers: {},
      signatureHeader: 'X-Millrace-Signature',
    });
    await push();
    await finished(id, 'success');
    expect(calls).toHaveLength(1);
  });

  it('to something that may not be is refused as a whole', async () => {
    const { url } = await receiver(status(200));
    const { id } = await create(url);
    await expect(change(id, { url: 'http://10.0.0.1/', rotateSecret: true })).rejects.toMatchObject({
      kind: 'invalid',
    });
    expect(await stage.webhooks.view(stage.caller, id)).toMatchObject({ url, graceUntil: null });
  });

  it('by deleting it removes its secrets and keeps its deliveries', async () => {
    const { url } = await receiver(status(200));
    const { id } = await create(url, { headers: { 'X-A': 'b' } });
    await push();
    const delivery = await finished(id, 'success');
    await change(id, { rotateSecret: true });
    await stage.webhooks.remove(stage.caller, id);
    expect(stage.secrets.kept.size).toBe(0);
    await expect(stage.webhooks.view(stage.caller, id)).rejects.toMatchObject({ code: 'webhook.not_found' });
    expect(await deliveriesOf(id)).toHaveLength(1);
    await expect(stage.deliveries.redeliver(stage.caller, delivery.id)).rejects.toMatchObject({
      code: 'webhook.deleted',
    });
  });
});

describe('delivering again', () => {
  it('makes a new delivery of the same message, signed anew', async () => {
    const { url, calls } = await receiver((call, reply, nth) => status(nth === 1 ? 500 : 200)(call, reply, nth));
    const { id, secret } = await create(url);
    await push();
    const first = await failedOnce(id);
    const again = await stage.deliveries.redeliver(stage.caller, first.id);
    expect(again).toMatchObject({ redeliveryOf: first.id, messageId: first.messageId, eventId: first.eventId });
    expect(again.id).not.toBe(first.id);
    await finished(id, 'success');
    expect(new Set(calls.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
    expect(calls.map(({ headers }) => headers['x-millrace-delivery'])).toEqual([first.id, again.id]);
    expect(verifyWebhook(calls[1]!.body, calls[1]!.headers, secret!).ok).toBe(true);
  });

  it('with the same Idempotency-Key happens once', async () => {
    const { url, calls } = await receiver(status(200));
    const { id } = await create(url);
    await push();
    const first = await finished(id, 'success');
    const caller = { ...stage.caller, idempotencyKey: 'again' };
    const [one, two] = [
      await stage.deliveries.redeliver(caller, first.id),
      await stage.deliveries.redeliver(caller, first.id),
    ];
    expect(two.id).toBe(one.id);
    await waitFor('both are sent', async () => (await deliveriesOf(id, { status: 'success' })).length === 2);
    expect(calls).toHaveLength(2);
  });

  it('is refused for tests and for webhooks that are off', async () => {
    const { url } = await receiver(status(200));
    const { id, testDelivery } = await create(url);
    await expect(stage.deliveries.redeliver(stage.caller, testDelivery.deliveryId!)).rejects.toMatchObject({
      code: 'delivery.is_test',
    });
    await push();
    const { id: delivery } = await finished(id, 'success');
    await stage.webhooks.change(stage.caller, id, { disabled: true });
    await expect(stage.deliveries.redeliver(stage.caller, delivery)).rejects.toMatchObject({
      code: 'webhook.disabled',
    });
    await expect(stage.deliveries.redeliver(stage.caller, newId('del'))).rejects.toMatchObject({ kind: 'not_found' });
  });

  it('recovers everything that failed since a time, once each', async () => {
    let isUp = false;
    const { url, calls } = await receiver((call, reply, nth) => status(isUp ? 200 : 500)(call, reply, nth));
    const since = new Date(Date.now() - 1000).toISOString();
    retrying(0, 0);
    const { id } = await create(url);
    for (let i = 0; i < 5; i++) await push();
    await waitFor('all have failed', async () => (await deliveriesOf(id, { status: 'failed' })).length === 5);
    isUp = true;
    expect(await stage.webhooks.recover(stage.caller, id, { since })).toEqual({ redelivered: 5 });
    await waitFor('all are delivered', async () => (await deliveriesOf(id, { status: 'success' })).length === 5);
    expect(await stage.webhooks.recover(stage.caller, id, { since })).toEqual({ redelivered: 0 });
    expect(new Set(calls.map(({ headers }) => headers['webhook-id'])).size).toBe(5);
    expect(calls).toHaveLength(10);
  });
});

describe('an action of a rule', () => {
  const requestedBy = { kind: 'rule' as const, ruleId: 'rul_1', ruleVersion: 1, index: 0 };

  it('sends the event that it names, found in the log', async () => {
    const { url, calls } = await receiver(status(200));
    const { id } = await create(url, { events: ['pr.*'] });
    const event = await push();
    const request = { requestedBy, eventId: eventIdOf(event.id), webhookId: id };
    const asked = await stage.append('webhook.requested', request, { stream: streams.decisions(event.id) });
    const delivery = await finished(id, 'success');
    expect(delivery).toMatchObject({ kind: 'action', eventId: eventIdOf(event.id), eventType: 'git.push' });
    expect(JSON.parse(calls[0]!.body)).toMatchObject({ id: eventIdOf(event.id), type: 'git.push' });
    const delivered = (await stage.logged('webhook.delivered')).find(({ data }) => data.deliveryId === delivery.id);
    expect(delivered!.metadata.$causationId).toBe(asked.id);
  });

  it('to a webhook that does not exist is refused, once', async () => {
    const request = { requestedBy, eventId: eventIdOf((await push()).id), webhookId: newId('whk') };
    await stage.append('webhook.requested', request, { stream: streams.decisions('1') });
    const refused = await waitFor('it is refused', async () => (await stage.logged('action.refused'))[0]);
    expect(refused.data).toMatchObject({ action: 'send_webhook', reason: 'unknown-webhook', requestedBy });
  });

  it('sends a payload of its own to a bare URL', async () => {
    const { url, calls } = await receiver(status(200));
    const request = { requestedBy, eventId: eventIdOf((await push()).id), url, payload: { text: 'hello' } };
    await stage.append('webhook.requested', request, { stream: streams.decisions('1') });
    const delivery = await waitFor('it is delivered', async () => {
      return (await stage.deliveries.list(stage.caller, { status: 'success' })).data[0];
    });
    expect(delivery).toMatchObject({ webhookId: null, url });
    expect(calls[0]).toMatchObject({ body: '{"text":"hello"}', headers: { 'x-millrace-event': 'git.push' } });
    const detail = await stage.deliveries.view(stage.caller, delivery.id);
    expect(detail.attempts[0]!.request).toMatchObject({ url, body: '{"text":"hello"}' });
  });
});

describe('lists of deliveries', () => {
  it('come newest first, page by page, and narrowed to what is asked for', async () => {
    const { url } = await receiver(status(200));
    const { id } = await create(url, { events: ['git.push', 'git.tag_pushed'] });
    const events = [await push(), await stage.append('git.tag_pushed', {} as never), await push()];
    await waitFor('all are sent', async () => (await deliveriesOf(id, { status: 'success' })).length === 3);
    const list = (filters: object) => stage.deliveries.listOfWebhook(stage.caller, id, filters);

    const all = (await list({})).data.filter(({ kind }) => kind !== 'test');
    expect(all.map(({ eventId }) => eventId)).toEqual(events.map((event) => eventIdOf(event.id)).reverse());
    const pages: string[] = [];
    for (let cursor: string | null | undefined; cursor !== null;) {
      const page = await list({ limit: '1', ...(cursor !== undefined && { cursor }) });
      pages.push(...page.data.map((one) => one.id));
      cursor = page.nextCursor;
    }
    expect(pages).toEqual((await list({})).data.map((one) => one.id));
    expect(await list({ type: 'git.tag_pushed' })).toMatchObject({ data: [{ eventType: 'git.tag_pushed' }] });
    expect((await list({ status: 'failed' })).data).toEqual([]);
    expect((await list({ to: '2026-01-01T00:00:00Z' })).data).toEqual([]);
    expect((await list({ from: '2000-01-01T00:00:00Z' })).data).toHaveLength(4);
    expect((await list({ eventId: eventIdOf(events[0]!.id) })).data).toHaveLength(1);
  });

  it.each([
    { status: 'lost' },
    { from: 'yesterday' },
    { limit: '0' },
    { limit: '201' },
    { cursor: 'nonsense' },
    { cursor: Buffer.from('["x","y"]').toString('base64url') },
    { type: ['a', 'b'] as never },
    { type: 'a\0b' },
  ])('refuse %j', async (filters) => {
    await expect(stage.deliveries.list(stage.caller, filters)).rejects.toMatchObject({ kind: 'invalid' });
  });

  it('of a webhook that never was are not found', async () => {
    await expect(stage.deliveries.listOfWebhook(stage.caller, newId('whk'), {})).rejects.toMatchObject({
      kind: 'not_found',
    });
  });
});
