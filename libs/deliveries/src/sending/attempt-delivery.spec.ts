import { beforeEach, describe, expect, it } from '@jest/globals';

import type { EgressOutcome } from '#libs/egress/src/egress.js';
import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { newEvent, RawJson } from '#libs/event-store/src/new-event.js';
import { followers } from '#libs/events/src/followers.js';
import type { WebhookSettings } from '#libs/events/src/shapes/webhook-shape.js';
import { streams } from '#libs/events/src/streams.js';
import { FixedClock } from '#libs/kernel/src/clock.js';
import { newId, uuid7 } from '#libs/kernel/src/ids.js';
import type { ClaimedWork } from '#libs/persistence/src/claims/work.js';
import { verifyWebhook } from '#libs/plugin-sdk/src/verify-webhook.js';

import { answered, MemorySecrets, NoWaiting, ScriptedEgress } from '../../testing/doubles.js';
import { ORG, recorded, registered, START } from '../../testing/given.js';
import { attemptsOf } from '../delivery/attempt-history.js';
import { ATTEMPTS, type AttemptTask } from '../delivery/delivery.js';
import { RecentEvents } from '../delivery/recent-events.js';
import { WebhookTable } from '../webhook/webhook.table.js';
import { AttemptDelivery } from './attempt-delivery.worker.js';
import { CredentialCache } from './credentials.js';

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const signal = new AbortController().signal;

let store: MemoryEventStore;
let egress: ScriptedEgress;
let secrets: MemorySecrets;
let webhooks: WebhookTable;
let progress: NoWaiting;
let clock: FixedClock;
let worker: AttemptDelivery;
/** Secrets of the organisation, by name. */
let known: Record<string, string>;
const named = {
  of: (_: string, names: Iterable<string>) =>
    Promise.resolve(new Map([...names].flatMap((name) => (known[name] ? [[name, known[name]] as const] : [])))),
};

beforeEach(() => {
  store = new MemoryEventStore();
  egress = new ScriptedEgress();
  secrets = new MemorySecrets();
  webhooks = new WebhookTable();
  progress = new NoWaiting();
  clock = new FixedClock(START);
  known = {};
  worker = another();
});

/** A worker of another process on the same log. */
const another = (): AttemptDelivery =>
  new AttemptDelivery({
    store,
    clock,
    egress,
    progress,
    webhooks,
    credentials: new CredentialCache(secrets),
    recent: new RecentEvents(),
    secrets: named,
  });

function givenWebhook(more: Partial<WebhookSettings> = {}, disabled = false): string {
  const { webhookId, event } = registered(more, { disabled });
  webhooks.apply(event);
  secrets.kept.set(`${webhookId}/secret/1`, SECRET);
  return webhookId;
}

const EVENT = '{"branch":"main","big":12345678901234567890}';
async function givenWork(webhookId: string | null, more: Partial<AttemptTask> = {}): Promise<ClaimedWork<AttemptTask>> {
  const id = uuid7();
  const stream = streams.inbound('int_1', id);
  const event = newEvent({ type: 'git.push', data: new RawJson(EVENT) }, { id, orgId: ORG, actor: 'test', now: START });
  const { position } = await store.append(stream, [event], 'no-stream');
  const deliveryId = newId('del');
  const task: AttemptTask = {
    deliveryId,
    rootId: deliveryId,
    orgId: ORG,
    webhookId,
    url: null,
    kind: 'subscription',
    eventId: 'evt_1',
    eventType: 'git.push',
    eventStream: stream,
    eventRevision: '0',
    ownPayload: false,
    attempt: 1,
    cause: { id, correlationId: id, hop: 2, causedBy: ['rul_1'] },
    late: false,
    ...more,
  };
  return workFor(task, position);
}
const workFor = (task: AttemptTask, position: bigint, claims = 1): ClaimedWork<AttemptTask> => ({
  queue: ATTEMPTS,
  key: task.deliveryId,
  dueAt: START,
  payload: task,
  position,
  claims,
});
const taskOf = (work: ClaimedWork<AttemptTask>) => work.payload;
const streamOf = (work: ClaimedWork<AttemptTask>) => store.readStream(streams.delivery(work.key));
async function outcomeOf(work: ClaimedWork<AttemptTask>) {
  const [outcome] = await streamOf(work);
  if (!outcome?.is('webhook.delivered', 'webhook.failed')) throw new Error('there is no outcome');
  return outcome;
}

describe('an attempt', () => {
  it('sends the event, signed, with its numbers as they came', async () => {
    const work = await givenWork(givenWebhook({ headers: undefined as never }));
    await worker.run(work, signal);
    const [request] = egress.requests;
    expect(request).toMatchObject({ method: 'POST', url: 'https://example.com/hook', timeoutMs: 30_000 });
    const body = request!.body as string;
    expect(body).toContain(`"data":${EVENT}`);
    expect(verifyWebhook(body, request!.headers, SECRET, { now: START })).toMatchObject({
      ok: true,
      messageId: `msg_${work.key.slice(4)}`,
    });
  });

  it('records its outcome with what was sent and answered, caused by what asked for it', async () => {
    egress.answer = () => answered(200, { 'content-type': 'text/plain' }, 'thanks');
    const webhookId = givenWebhook();
    const work = await givenWork(webhookId);
    const { position } = await worker.run(work, signal);
    const outcome = await outcomeOf(work);
    const { cause } = taskOf(work);
    expect(outcome.data).toMatchObject({
      deliveryId: work.key,
      webhookId,
      attempt: 1,
      request: { url: 'https://example.com/hook', format: 'platform' },
      response: { status: 200, body: 'thanks', encoding: 'utf8', truncated: false },
      startedAt: START.toISOString(),
      latencyMs: 4,
    });
    expect(outcome.type).toBe('webhook.delivered');
    expect(outcome.position).toBe(position);
    expect(outcome.metadata).toMatchObject({
      $correlationId: cause.correlationId,
      $causationId: cause.id,
      hop: 3,
      orgId: ORG,
      subject: `webhook/${webhookId}`,
    });
    expect(outcome.metadata.causedBy).toEqual(['rul_1', webhookId]);
  });

  it.each(['timeout', 'dns', 'connect', 'tls', 'refused_address', 'redirect', 'body_too_large'] as const)(
    'that fails by %s is recorded as that',
    async (failureClass) => {
      egress.answer = () => ({ kind: 'failed', failureClass, detail: 'in words', latencyMs: 7 });
      const work = await givenWork(givenWebhook());
      await worker.run(work, signal);
      const outcome = await outcomeOf(work);
      expect(outcome.data).toMatchObject({ failureClass, detail: 'in words', retryable: true, latencyMs: 7 });
      expect(outcome.data.response).toBeUndefined();
    },
  );

  it('that fails by its status is recorded with it, with Retry-After, and names its webhook as the one that failed', async () => {
    egress.answer = () => answered(503, { 'retry-after': '20' }, 'later');
    const webhookId = givenWebhook();
    const work = await givenWork(webhookId);
    await worker.run(work, signal);
    const outcome = await outcomeOf(work);
    expect(outcome.data).toMatchObject({ failureClass: 'status', status: 503, retryAfter: 20, retryable: true });
    expect(outcome.data.response).toMatchObject({ status: 503, body: 'later' });
    expect(outcome.metadata.causedBy).toEqual(['rul_1', webhookId]);
  });

  it('of a redirect records where it pointed', async () => {
    egress.answer = (): EgressOutcome => ({
      kind: 'failed',
      failureClass: 'redirect',
      detail: 'the receiver answered 302',
      status: 302,
      headers: { location: 'https://elsewhere.example/' },
      latencyMs: 1,
    });
    const work = await givenWork(givenWebhook());
    await worker.run(work, signal);
    const outcome = await outcomeOf(work);
    expect(outcome.data.status).toBe(302);
    expect(outcome.data.response).toMatchObject({ headers: { location: 'https://elsewhere.example/' } });
  });

  it('repeats the message id of the first delivery in a redelivery, under a new delivery id', async () => {
    const work = await givenWork(givenWebhook(), { rootId: 'del_first' });
    await worker.run(work, signal);
    expect(egress.requests[0]!.headers).toMatchObject({ 'webhook-id': 'msg_first', 'X-Millrace-Delivery': work.key });
  });

  it('waits until the settings that held at its event are known', async () => {
    const work = await givenWork(givenWebhook());
    await worker.run(work, signal);
    expect(progress.waited).toEqual([[followers.webhooks, work.position]]);
  });

  it('fetches secrets once, not for every delivery', async () => {
    const webhookId = givenWebhook();
    for (let i = 0; i < 3; i++) await worker.run(await givenWork(webhookId), signal);
    expect(secrets.reads).toBe(1);
  });

  it("carries the receiver's own headers and signature header, and records neither values nor signatures", async () => {
    const values = 'headers/1';
    secrets.kept.set(values, JSON.stringify({ Authorization: 'Bearer abc' }));
    const headers = { names: ['Authorization'], values };
    const work = await givenWork(givenWebhook({ headers, signatureHeader: 'X-Sig' }));
    await worker.run(work, signal);
    expect(egress.requests[0]!.headers).toMatchObject({ Authorization: 'Bearer abc', 'X-Sig': expect.any(String) });
    const outcome = await outcomeOf(work);
    expect(outcome.dataJson).not.toMatch(/Bearer|sha256=|v1,|whsec/);
  });
});

describe('during a rotation', () => {
  it('signs with both secrets until the time of grace is over', async () => {
    const webhookId = givenWebhook();
    const validUntil = new Date(START.getTime() + 60_000).toISOString();
    secrets.kept.set('ref/2', 'the new secret');
    webhooks.apply(
      recorded(
        'webhook.secret_rotated',
        { webhookId, secret: 'ref/2', previous: [{ secret: `${webhookId}/secret/1`, validUntil }] },
        { stream: streams.webhook(webhookId) },
      ),
    );
    await worker.run(await givenWork(webhookId), signal);
    clock.advance(60_001);
    await worker.run(await givenWork(webhookId), signal);
    const [during, after] = egress.requests.map(({ body, headers }) => (secret: string) => {
      return verifyWebhook(body!, headers, secret, { now: clock.now() }).ok;
    });
    expect([during!(SECRET), during!('the new secret')]).toEqual([true, true]);
    expect([after!(SECRET), after!('the new secret')]).toEqual([false, true]);
  });
});

describe('an attempt that may have been made before', () => {
  it('is not made again when its outcome is recorded', async () => {
    const work = await givenWork(givenWebhook());
    const { position } = await worker.run(work, signal);
    expect(await another().run({ ...work, claims: 2 }, signal)).toEqual({ position });
    expect(await another().run(workFor({ ...taskOf(work), late: true }, work.position), signal)).toEqual({ position });
    expect(egress.requests).toHaveLength(1);
  });

  it('is made again when its outcome is not recorded', async () => {
    const work = { ...(await givenWork(givenWebhook())), claims: 2 };
    await worker.run(work, signal);
    expect(egress.requests).toHaveLength(1);
    expect(await streamOf(work)).toHaveLength(1);
  });

  it('has one outcome, whichever of two processes is first', async () => {
    const work = await givenWork(givenWebhook());
    let release: (() => void) | undefined;
    egress.answer = () => new Promise((resolve) => (release = () => resolve(answered(200))));
    const slow = worker.run(work, signal);
    while (!release) await Promise.resolve();
    const releaseSlow = release;
    egress.answer = () => answered(500);
    const fast = await another().run(work, signal);
    releaseSlow();
    // What each of them saw of the receiver differs; what is recorded does not.
    expect((await slow).position).toBe(fast.position);
    const outcome = await outcomeOf(work);
    expect(outcome.type).toBe('webhook.failed');
    expect(await streamOf(work)).toHaveLength(1);
  });

  it('is told apart from the attempts before it', async () => {
    const webhookId = givenWebhook();
    egress.answer = () => answered(500);
    const first = await givenWork(webhookId);
    await worker.run(first, signal);
    const second = workFor({ ...taskOf(first), attempt: 2 }, first.position, 2);
    egress.answer = () => answered(200);
    await worker.run(second, signal);
    await worker.run(second, signal);
    const events = await streamOf(first);
    expect(events.map(({ type }) => type)).toEqual(['webhook.failed', 'webhook.delivered']);
    expect(egress.requests).toHaveLength(2);
  });

  it('has one outcome, also after attempts that older versions recorded as two events each', async () => {
    const first = await givenWork(givenWebhook());
    const { deliveryId, webhookId, eventId, eventType } = taskOf(first);
    const about = { deliveryId, webhookId, eventId, eventType, attempt: 1, latencyMs: 4 };
    const before = [
      { type: 'delivery.attempted', data: { ...about, startedAt: START.toISOString() } },
      { type: 'webhook.failed', data: { ...about, failureClass: 'dns', detail: 'no such name', retryable: true } },
    ].map((draft) => newEvent(draft, { id: uuid7(), orgId: ORG, actor: 'test', now: START }));
    await store.append(streams.delivery(deliveryId), before, 'no-stream');
    const second = workFor({ ...taskOf(first), attempt: 2 }, first.position);
    const done = await worker.run(second, signal);
    expect(await another().run({ ...second, claims: 2 }, signal)).toEqual({ position: done.position });
    const events = await streamOf(first);
    expect(events.map(({ type }) => type)).toEqual(['delivery.attempted', 'webhook.failed', 'webhook.delivered']);
    expect(egress.requests).toHaveLength(1);
    const shown = await attemptsOf(store, {
      id: deliveryId,
      eventStream: taskOf(first).eventStream,
      eventRevision: '0',
    });
    expect(shown.map(({ attempt, outcome, at }) => [attempt, outcome, at])).toEqual([
      [1, 'failed', START.toISOString()],
      [2, 'delivered', START.toISOString()],
    ]);
    expect(shown.map(({ request }) => request?.url)).toEqual([undefined, 'https://example.com/hook']);
  });

  it('that is called back leaves no outcome, so that it is made again', async () => {
    const work = await givenWork(givenWebhook());
    await expect(worker.run(work, AbortSignal.abort(new Error('stopping')))).rejects.toThrow('stopping');
    expect(await streamOf(work)).toEqual([]);
  });
});

describe('nothing is sent', () => {
  it('to a webhook that is disabled or gone, which no retry mends', async () => {
    const off = await givenWork(givenWebhook({}, true));
    const gone = await givenWork(newId('whk'));
    for (const work of [off, gone]) {
      await worker.run(work, signal);
      const outcome = await outcomeOf(work);
      expect(outcome.data).toMatchObject({ failureClass: 'refused_address', retryable: false });
      expect(outcome.data.request).toBeUndefined();
    }
    expect(egress.requests).toEqual([]);
  });

  it('of an event that is not there', async () => {
    const work = await givenWork(givenWebhook(), { eventRevision: '7' });
    await worker.run(work, signal);
    expect((await outcomeOf(work)).data).toMatchObject({ retryable: false });
    expect(egress.requests).toEqual([]);
  });
});

describe('a test', () => {
  it('goes also to a disabled webhook, is impatient and is never worth another try', async () => {
    egress.answer = () => answered(500);
    const work = await givenWork(givenWebhook({}, true), { kind: 'test' });
    await worker.run(work, signal);
    expect(egress.requests[0]!.timeoutMs).toBe(10_000);
    expect((await outcomeOf(work)).data).toMatchObject({ status: 500, retryable: false });
  });
});

describe('an action', () => {
  it('sends its own payload to a bare URL, without a signature', async () => {
    const work = await givenWork(null, { url: 'https://example.com/bare', ownPayload: true });
    const { eventStream } = taskOf(work);
    const data = {
      requestedBy: { kind: 'rule', ruleId: 'r', ruleVersion: 1, index: 0 },
      eventId: 'evt_1',
      payload: [1],
    };
    const event = newEvent({ type: 'webhook.requested', data }, { id: uuid7(), orgId: ORG, actor: 'test', now: START });
    await store.append(eventStream, [event], 0n);
    const asked = workFor({ ...taskOf(work), eventRevision: '1', eventType: 'webhook.requested' }, work.position);
    await worker.run(asked, signal);
    const [request] = egress.requests;
    expect(request).toMatchObject({ url: 'https://example.com/bare', body: '[1]' });
    expect(Object.keys(request!.headers).filter((name) => /signature/i.test(name))).toEqual([]);
    const outcome = await outcomeOf(work);
    expect(outcome.metadata.subject).toBe(`delivery/${work.key}`);
    expect(outcome.data).not.toHaveProperty('webhookId');
  });

  const TOKEN = 'T0ken/of the receiver';
  /** A request to a URL and with a payload that have a secret. */
  async function givenSecrets(): Promise<ClaimedWork<AttemptTask>> {
    const url = 'https://example.com/${{ secrets.TOKEN }}';
    const secrets = [
      { pointer: '/url', index: 20, name: 'TOKEN' },
      { pointer: '/payload/text', index: 3, name: 'TOKEN' },
    ];
    const work = await givenWork(null, { url, ownPayload: true, secrets });
    const data = {
      requestedBy: { kind: 'rule', ruleId: 'r', ruleVersion: 1, index: 0 },
      eventId: 'evt_1',
      payload: { text: 'is ${{ secrets.TOKEN }}, not ${{ secrets.TOKEN }}' },
      secrets,
    };
    const event = newEvent({ type: 'webhook.requested', data }, { id: uuid7(), orgId: ORG, actor: 'test', now: START });
    await store.append(taskOf(work).eventStream, [event], 0n);
    return workFor({ ...taskOf(work), eventRevision: '1', eventType: 'webhook.requested' }, work.position);
  }

  it('sends secrets in their places, and records none, also where the receiver echoes them', async () => {
    known['TOKEN'] = TOKEN;
    egress.answer = () =>
      answered(500, { 'x-echo': TOKEN }, `No ${TOKEN}, ${encodeURIComponent(TOKEN)}, ${btoa(`u:${TOKEN}`)}`);
    const work = await givenSecrets();
    await worker.run(work, signal);
    expect(egress.requests[0]).toMatchObject({
      url: `https://example.com/${TOKEN}`,
      body: JSON.stringify({ text: `is ${TOKEN}, not \${{ secrets.TOKEN }}` }),
    });
    const outcome = await outcomeOf(work);
    expect(outcome.data).toMatchObject({
      request: { url: 'https://example.com/${{ secrets.TOKEN }}' },
      response: { headers: { 'x-echo': '***' }, body: expect.stringMatching(/^No \*\*\*, \*\*\*, \S{1,4}\*\*\*/) },
    });
    const recorded = JSON.stringify((await streamOf(work)).map(({ data }) => data));
    expect(recorded).not.toContain('T0ken');
    expect(recorded).not.toContain(btoa(TOKEN).slice(0, 8));
  });

  it('sends nothing without its secret, and says which one is missing', async () => {
    const work = await givenSecrets();
    await worker.run(work, signal);
    expect(egress.requests).toEqual([]);
    expect((await outcomeOf(work)).data).toMatchObject({
      retryable: false,
      detail: 'There is no secret "TOKEN": nothing was sent. Set it, then redeliver.',
    });
  });
});
