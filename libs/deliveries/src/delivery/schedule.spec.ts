import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { DataOf } from '#libs/events/src/catalogue.js';
import { eventIdOf, MAX_HOPS } from '#libs/events/src/envelope.js';
import { streams } from '#libs/events/src/streams.js';
import { newId } from '#libs/kernel/src/ids.js';

import { type Given, ORG, recorded, registered, settings, START } from '../../testing/given.js';
import { type Health, newHealth } from '../webhook/health.js';
import { WebhookTable } from '../webhook/webhook.table.js';
import type { Delivery } from './delivery.js';
import { placeOf, type EventPlace } from './recent-events.js';
import { Schedule } from './schedule.js';

const OTHER = 'org_00000000000000000000000002';
const at = (seconds: number): Date => new Date(START.getTime() + seconds * 1000);

interface Before {
  readonly rows?: ReadonlyMap<string, Delivery>;
  readonly health?: ReadonlyMap<string, Health>;
  readonly places?: ReadonlyMap<string, EventPlace>;
  readonly table?: WebhookTable;
}

function schedule(events: readonly RecordedEvent[], before: Before = {}): Schedule {
  const { rows = new Map(), health = new Map(), places = new Map(), table = new WebhookTable() } = before;
  const made = new Schedule(table, rows, health, places);
  for (const event of events) made.apply(event);
  return made;
}
const push = (given: Given = {}) => recorded('git.push', { branch: 'main' } as never, given);
const only = (made: Schedule): Delivery => {
  expect(made.changed.size).toBe(1);
  return [...made.changed.values()][0]!;
};

function outcome(delivery: Delivery, more: Partial<DataOf<'webhook.failed'>> | 'delivered', given: Given = {}) {
  const about = {
    deliveryId: delivery.id,
    ...(delivery.webhookId !== null && { webhookId: delivery.webhookId }),
    eventId: delivery.eventId,
    eventType: delivery.eventType,
    attempt: delivery.attempts + 1,
    latencyMs: 5,
  };
  const place = { stream: streams.delivery(delivery.id), ...given };
  if (more === 'delivered') return recorded('webhook.delivered', { ...about, status: 200 }, place);
  const failure = {
    failureClass: 'status' as const,
    status: 500,
    detail: 'the receiver answered 500',
    retryable: true,
  };
  return recorded('webhook.failed', { ...about, ...failure, ...more }, place);
}
const again = (deliveryId: string, afterMs = 60_000, given: Given = {}) =>
  recorded(
    'webhook.redelivery_requested',
    { requestedBy: { kind: 'run', runId: 'run_1', stepId: 's' }, deliveryId, afterMs },
    { stream: streams.run('run_1'), ...given },
  );
const request = (data: Partial<DataOf<'webhook.requested'>>, given: Given = {}) =>
  recorded(
    'webhook.requested',
    {
      requestedBy: { kind: 'rule', ruleId: 'rul_1', ruleVersion: 1, index: 0 },
      eventId: eventIdOf(push().id),
      ...data,
    },
    { stream: streams.decisions('1'), ...given },
  );

/** A webhook, an event it wants, and the delivery that follows. */
function delivering(given: Given = {}) {
  const table = new WebhookTable();
  const { webhookId, event } = registered();
  const delivery = only(schedule([event, push(given)], { table }));
  const after = (...events: RecordedEvent[]) => schedule(events, { table, rows: new Map([[delivery.id, delivery]]) });
  return { table, webhookId, delivery, after };
}

describe('an event', () => {
  it('becomes a delivery to each webhook that subscribes to its type', () => {
    const [one, two, other] = [registered(), registered({ events: ['git.*'] }), registered({ events: ['pr.*'] })];
    const event = push();
    const made = schedule([one.event, two.event, other.event, event]);
    expect([...made.changed.values()].map(({ webhookId }) => webhookId)).toEqual([one.webhookId, two.webhookId]);
    for (const row of made.changed.values())
      expect(row).toMatchObject({
        orgId: ORG,
        status: 'pending',
        attempts: 0,
        eventId: eventIdOf(event.id),
        eventType: 'git.push',
        eventStream: event.stream,
        kind: 'subscription',
        rootId: row.id,
      });
    expect(made.due.size).toBe(2);
  });

  it('becomes the same delivery however often it is read', () => {
    const { event, webhookId } = registered();
    const pushed = push();
    expect([...schedule([event, pushed]).changed.keys()]).toEqual([...schedule([event, pushed]).changed.keys()]);
    expect(webhookId).toMatch(/^whk_/);
  });

  it('does not reach webhooks of another organisation, disabled or deleted ones', () => {
    const off = registered({}, { disabled: true });
    const gone = registered();
    const stream = streams.webhook(gone.webhookId);
    const events = [
      registered({}, { orgId: OTHER }).event,
      off.event,
      gone.event,
      recorded('webhook.deleted', { webhookId: gone.webhookId }, { stream }),
      push(),
    ];
    expect(schedule(events).isEmpty).toBe(true);
  });

  it('follows what the webhook was at its place in the log', () => {
    const { event, webhookId } = registered();
    const stream = streams.webhook(webhookId);
    const [first, second, third] = [push(), push(), push()];
    const made = schedule([
      first,
      event,
      second,
      recorded('webhook.disabled', { webhookId, reason: 'manual', detail: '' }, { stream }),
      third,
      recorded('webhook.enabled', { webhookId }, { stream }),
      recorded('webhook.updated', { webhookId, settings: settings({ events: ['pr.*'] }) }, { stream }),
      push(),
    ]);
    expect([...made.changed.values()].map(({ eventId }) => eventId)).toEqual([eventIdOf(second.id)]);
  });

  it('passes a filter only if the filter is true of it', () => {
    const { event } = registered({ filter: "data.branch == 'main'" });
    expect(schedule([event, push()]).changed.size).toBe(1);
    expect(schedule([event, recorded('git.push', { branch: 'topic' } as never)]).isEmpty).toBe(true);
  });

  it('of a system type or about webhooks is not part of *', () => {
    const { event } = registered({ events: ['*'] });
    const made = schedule([
      event,
      recorded('rule.enabled', { ruleId: 'rul_1' }),
      recorded('webhook.exhausted', { deliveryId: 'del_1', attempts: 6 }),
      recorded('custom.thing', {}),
    ]);
    expect(only(made).eventType).toBe('custom.thing');
  });

  it('with too many causes is refused, once, and the refusal is not told in turn', () => {
    const { event } = registered({ events: ['git.push', 'action.refused'] });
    const far = push({ cause: { hop: MAX_HOPS } });
    const made = schedule([event, far]);
    expect(made.changed.size).toBe(0);
    expect(made.refusals).toEqual([{ event: far, data: expect.objectContaining({ reason: 'too-many-hops' }) }]);
    const told = recorded('action.refused', made.refusals[0]!.data, { cause: { hop: MAX_HOPS + 1 } });
    expect(schedule([event, told]).refusals).toEqual([]);
  });

  it('that claims to set up a webhook from another stream sets up none', () => {
    const { event } = registered({}, { stream: streams.published('org_1', '1') });
    expect(schedule([event, push()]).isEmpty).toBe(true);
  });
});

describe('what follows from a delivery', () => {
  const follows = (...causedBy: string[]) => ({ cause: { causedBy } });
  const typesIn = ({ changed }: Schedule) => [...changed.values()].map(({ eventType }) => eventType);

  it('never goes to its own webhook', () => {
    const { event, webhookId } = registered({ events: ['*', 'workflow.*', 'webhook.failed'] });
    const news = recorded('custom.thing', {}, follows(webhookId));
    expect(schedule([event, news]).isEmpty).toBe(true);
  });

  it('goes to others, but events of runs only to those that name them', () => {
    const [all, named] = [registered({ events: ['*'] }), registered({ events: ['workflow.*'] })];
    const run = recorded('workflow.completed', {} as never, follows('whk_down'));
    const issue = recorded('issue.created', {} as never, follows('whk_down'));
    expect(only(schedule([all.event, named.event, run])).webhookId).toBe(named.webhookId);
    expect(only(schedule([all.event, named.event, issue])).webhookId).toBe(all.webhookId);
  });

  it('goes no further than one webhook', () => {
    const { event } = registered({ events: ['custom.*'] });
    expect(schedule([event, recorded('custom.thing', {}, follows('whk_1', 'rul_1', 'whk_2'))]).isEmpty).toBe(true);
    expect(schedule([event, recorded('custom.thing', {}, follows('rul_1', 'wf_1', 'whk_2'))]).changed.size).toBe(1);
  });

  it.each(['webhook.*', '*.*', '*.failed', 'w*.failed', '*'])(
    'and is recorded by it never goes to its own webhook, subscribed to %s',
    (pattern) => {
      const { event, webhookId } = registered({ events: [pattern] });
      const failed = outcome(delivering().delivery, {}, follows(webhookId));
      expect(typesIn(schedule([event, failed]))).not.toContain('webhook.failed');
    },
  );

  it('goes to a webhook that allows recursion, up to the limit of causes', () => {
    const { event, webhookId } = registered({ events: ['webhook.*'], allowRecursion: true });
    const { delivery } = delivering();
    const given = (hop: number) => ({ cause: { causedBy: [webhookId, 'whk_other'], hop } });
    expect(typesIn(schedule([event, outcome(delivery, {}, given(2))]))).toContain('webhook.failed');
    expect(schedule([event, outcome(delivery, {}, given(MAX_HOPS))]).refusals[0]!.data.reason).toBe('too-many-hops');
  });

  it('is refused as an action to the same webhook, with the reason, unless that allows recursion', () => {
    const { event, webhookId } = registered();
    const made = schedule([event, request({ webhookId, payload: {} }, follows(webhookId))]);
    expect(made.refusals[0]!.data.reason).toBe('follows-from-itself');
    const open = registered({ allowRecursion: true });
    const asked = request({ webhookId: open.webhookId, payload: {} }, follows(open.webhookId));
    expect(only(schedule([open.event, asked])).webhookId).toBe(open.webhookId);
  });

  it('is refused as an action to a bare URL only where a bare URL failed', () => {
    const asked = (...path: string[]) => request({ url: 'https://example.com', payload: {} }, follows(...path));
    expect(schedule([asked('url')]).refusals[0]!.data.reason).toBe('follows-from-itself');
    expect(schedule([asked('rul_1', 'whk_1')]).changed.size).toBe(1);
  });
});

describe('an event of a story that has used up its budget', () => {
  const reason = { reason: 'correlation-exhausted', detail: 'spent' };
  const apply = (...events: RecordedEvent[]) => {
    const made = new Schedule(new WebhookTable(), new Map(), new Map(), new Map(), () => reason);
    for (const event of events) made.apply(event);
    return made;
  };

  it('is delivered to nobody, and makes the story no longer, whatever the number of webhooks', () => {
    const [one, other] = [registered(), registered()];
    const made = apply(one.event, other.event, push());
    expect(made.isEmpty).toBe(true);
    expect(made.refusals).toEqual([]);
  });

  it('is refused as an action', () => {
    const { event, webhookId } = registered();
    expect(apply(event, request({ webhookId, payload: {} })).refusals[0]!.data.reason).toBe('correlation-exhausted');
  });
});

describe('an outcome', () => {
  it('of success finishes the delivery', () => {
    const { delivery, after, webhookId } = delivering();
    const made = after(outcome(delivery, 'delivered', { at: at(3) }));
    expect(only(made)).toMatchObject({
      status: 'success',
      attempts: 1,
      responseCode: 200,
      latencyMs: 5,
      failureClass: null,
      nextAttemptAt: null,
      finishedAt: at(3).toISOString(),
    });
    expect(made.due.size).toBe(0);
    expect(made.health.get(webhookId)).toMatchObject({ sendCount: 1, failureCount: 0, consecutiveFailures: 0 });
  });

  it.each(['timeout', 'dns', 'connect', 'tls', 'status', 'redirect', 'body_too_large', 'refused_address'] as const)(
    'of failure by %s leaves the delivery open for another attempt',
    (failureClass) => {
      const { delivery, after, webhookId } = delivering();
      const made = after(outcome(delivery, { failureClass }));
      expect(only(made)).toMatchObject({ status: 'pending', attempts: 1, failureClass, finishedAt: null });
      expect(made.due.size).toBe(0);
      expect(made.health.get(webhookId)).toMatchObject({ failureCount: 1, consecutiveFailures: 1 });
    },
  );

  it('that no attempt can mend finishes the delivery', () => {
    const { delivery, after } = delivering();
    expect(only(after(outcome(delivery, { retryable: false })))).toMatchObject({ status: 'failed' });
  });

  it('that is read twice counts once', () => {
    const { delivery, after, webhookId } = delivering();
    const failed = outcome(delivery, {});
    expect(after(failed, failed).health.get(webhookId)).toMatchObject({ sendCount: 1, failureCount: 1 });
  });

  it('from another stream than the delivery has changes nothing', () => {
    const { delivery, after } = delivering();
    expect(after(outcome(delivery, 'delivered', { stream: streams.published('org_1', '1') })).isEmpty).toBe(true);
  });

  it('of 410 disables the webhook at once', () => {
    const { delivery, after, webhookId } = delivering();
    const made = after(outcome(delivery, { status: 410, retryable: false }));
    expect(made.disablings).toEqual([expect.objectContaining({ webhookId, reason: 'gone' })]);
  });

  it('of an attempt that was withheld says nothing about the webhook', () => {
    const { delivery, after, webhookId } = delivering();
    const made = after(outcome(delivery, { failureClass: 'refused_address', retryable: false }));
    expect(made.health.get(webhookId)).toMatchObject({ sendCount: 0, failureCount: 0 });
  });

  it('after five days without a success disables the webhook, and not before', () => {
    const { delivery, table, webhookId } = delivering();
    const fiveDays = 5 * 86_400;
    const health = (since: string): Map<string, Health> =>
      new Map([
        [
          webhookId,
          { ...newHealth(webhookId), sendCount: 9, lastSentAt: since, consecutiveFailures: 9, failingSince: since },
        ],
      ]);
    const rows = new Map([[delivery.id, delivery]]);
    const failingAt = (seconds: number) =>
      schedule([outcome(delivery, {}, { at: at(seconds) })], { table, rows, health: health(START.toISOString()) });
    expect(failingAt(fiveDays - 1).disablings).toEqual([]);
    expect(failingAt(fiveDays).disablings).toEqual([expect.objectContaining({ webhookId, reason: 'failing' })]);
  });
});

describe('a request for another attempt', () => {
  it('makes it due so long after the failure, not after the request', () => {
    const { delivery, after } = delivering();
    const asked = again(delivery.id, 60_000, { at: at(30) });
    const made = after(outcome(delivery, {}, { at: at(10) }), asked);
    expect(only(made)).toMatchObject({ status: 'pending', attempts: 1, nextAttemptAt: at(70).toISOString() });
    expect(made.due.get(delivery.id)!.cause.id).toBe(asked.id);
  });

  it('waits longer where the receiver asked for it, up to twice', () => {
    const { delivery, after } = delivering();
    const failed = outcome(delivery, { retryAfter: 3600 }, { at: at(0) });
    expect(only(after(failed, again(delivery.id))).nextAttemptAt).toBe(at(120).toISOString());
  });

  it('opens a delivery again that was given up', () => {
    const { delivery, after } = delivering();
    const exhausted = recorded('webhook.exhausted', { deliveryId: delivery.id, attempts: 1 });
    const made = after(outcome(delivery, {}), exhausted, again(delivery.id));
    expect(only(made)).toMatchObject({ status: 'pending', finishedAt: null });
  });

  it.each<[string, (delivery: Delivery) => RecordedEvent[], string]>([
    ['succeeded', (delivery) => [outcome(delivery, 'delivered')], 'already-delivered'],
    ['has an attempt due', () => [], 'already-planned'],
  ])('is refused for a delivery that %s', (_, before, reason) => {
    const { delivery, after } = delivering();
    const made = after(...before(delivery), again(delivery.id));
    expect(made.refusals.map(({ data }) => data.reason)).toEqual([reason]);
  });

  it('is refused for a delivery that does not exist, or belongs to others', () => {
    const { delivery, after } = delivering();
    const made = after(outcome(delivery, {}), again(newId('del')), again(delivery.id, 1, { orgId: OTHER }));
    expect(made.refusals.map(({ data }) => data.reason)).toEqual(['unknown-delivery', 'unknown-delivery']);
  });

  it('from anywhere but a run is passed over', () => {
    const { delivery, after } = delivering();
    const made = after(outcome(delivery, {}), again(delivery.id, 1, { stream: streams.published('org_1', '1') }));
    expect(made.due.size).toBe(0);
  });
});

describe('a delivery that is exhausted', () => {
  it('has failed for good', () => {
    const { delivery, after } = delivering();
    const made = after(
      outcome(delivery, {}),
      recorded('webhook.exhausted', { deliveryId: delivery.id, attempts: 1 }, { at: at(9) }),
    );
    expect(only(made)).toMatchObject({ status: 'failed', finishedAt: at(9).toISOString() });
  });

  it('is left alone while an attempt is due, and by other organisations', () => {
    const { delivery, after } = delivering();
    const exhausted = (given: Given = {}) =>
      recorded('webhook.exhausted', { deliveryId: delivery.id, attempts: 1 }, given);
    expect(after(exhausted()).isEmpty).toBe(true);
    expect(only(after(outcome(delivery, {}), exhausted({ orgId: OTHER }))).status).toBe('pending');
  });
});

describe('a test', () => {
  it('goes to one webhook alone, also to a disabled one, and counts for nothing', () => {
    const [tested, other] = [registered({ events: ['webhook.*'] }, { disabled: true }), registered({ events: ['*'] })];
    const { webhookId } = tested;
    const event = recorded('webhook.test', { webhookId, message: 'hello' }, { stream: streams.webhook(webhookId) });
    const table = new WebhookTable();
    const delivery = only(schedule([tested.event, other.event, event], { table }));
    expect(delivery).toMatchObject({ kind: 'test', webhookId, eventType: 'webhook.test' });
    const rows = new Map([[delivery.id, delivery]]);
    const failed = outcome(delivery, { retryable: false });
    const made = schedule([failed, again(delivery.id)], { table, rows });
    expect(only(made).status).toBe('failed');
    expect(made.health.size).toBe(0);
    expect(made.refusals.map(({ data }) => data.reason)).toEqual(['test-delivery']);
  });
});

describe('an action', () => {
  it('sends the event that led to it', () => {
    const { event, webhookId } = registered({ events: ['pr.*'] });
    const trigger = push();
    const asked = request({ webhookId, eventId: eventIdOf(trigger.id) });
    const made = schedule([event, trigger, asked], { places: new Map([[asked.id, placeOf(trigger)]]) });
    expect(only(made)).toMatchObject({
      kind: 'action',
      webhookId,
      eventId: eventIdOf(trigger.id),
      eventType: 'git.push',
      eventStream: trigger.stream,
      ownPayload: false,
    });
    expect([...made.due.values()][0]!.cause.id).toBe(asked.id);
  });

  it('sends a payload of its own', () => {
    const { event, webhookId } = registered({ events: ['pr.*'] });
    const asked = request({ webhookId, payload: { text: 'hello' } });
    const made = schedule([event, asked]);
    expect(only(made)).toMatchObject({ ownPayload: true, eventId: eventIdOf(asked.id), eventStream: asked.stream });
  });

  it('sends a payload of its own under the type of the event that led to it', () => {
    const { event, webhookId } = registered({ events: ['pr.*'] });
    const asked = request({ webhookId, payload: 1 });
    const made = schedule([event, asked], { places: new Map([[asked.id, placeOf(push())]]) });
    expect(only(made)).toMatchObject({
      eventType: 'git.push',
      eventId: eventIdOf(asked.id),
      eventStream: asked.stream,
    });
  });

  it('may name a bare URL', () => {
    const made = schedule([request({ url: 'https://example.com/x', payload: 1 })]);
    expect(only(made)).toMatchObject({ webhookId: null, url: 'https://example.com/x' });
  });

  it('is one delivery for each request, also to the same webhook', () => {
    const { event, webhookId } = registered();
    const trigger = push();
    const asked = request({ webhookId, eventId: eventIdOf(trigger.id) });
    const made = schedule([event, trigger, asked], { places: new Map([[asked.id, placeOf(trigger)]]) });
    expect(new Set([...made.changed.values()].map(({ kind }) => kind))).toEqual(new Set(['subscription', 'action']));
  });

  it.each<[string, (webhookId: string) => RecordedEvent, string]>([
    ['that names no webhook', () => request({}), 'unknown-webhook'],
    ['for an unknown webhook', () => request({ webhookId: newId('whk') }), 'unknown-webhook'],
    ["for another organisation's webhook", (id) => request({ webhookId: id }, { orgId: OTHER }), 'unknown-webhook'],
    ['for an event that is nowhere', (id) => request({ webhookId: id }), 'unknown-event'],
    ['with too many causes', (id) => request({ webhookId: id }, { cause: { hop: MAX_HOPS } }), 'too-many-hops'],
  ])('%s is refused', (_, asked, reason) => {
    const { event, webhookId } = registered();
    const made = schedule([event, asked(webhookId)]);
    expect(made.changed.size).toBe(0);
    expect(made.refusals.map(({ data }) => data)).toEqual([
      expect.objectContaining({
        action: 'send_webhook',
        reason,
        requestedBy: expect.objectContaining({ kind: 'rule' }),
      }),
    ]);
  });

  it('for a disabled webhook is refused', () => {
    const { event, webhookId } = registered({}, { disabled: true });
    expect(schedule([event, request({ webhookId })]).refusals[0]!.data.reason).toBe('webhook-disabled');
  });

  it('that somebody published from outside is passed over', () => {
    const { event, webhookId } = registered({ events: ['pr.*'] });
    const made = schedule([event, request({ webhookId, payload: 1 }, { stream: streams.published('org_1', '1') })]);
    expect(made.isEmpty && made.refusals.length === 0).toBe(true);
  });
});

describe('a redelivery', () => {
  it('is a new delivery of the same message', () => {
    const { delivery, after } = delivering();
    const id = newId('del');
    const asked = recorded(
      'delivery.redelivery_requested',
      { deliveryId: id, redeliveryOf: delivery.id },
      { stream: streams.redelivery(id) },
    );
    expect(only(after(asked))).toMatchObject({
      id,
      rootId: delivery.id,
      redeliveryOf: delivery.id,
      eventId: delivery.eventId,
      kind: 'redelivery',
      attempts: 0,
      status: 'pending',
    });
  });

  it('of what belongs to others is passed over', () => {
    const { delivery, after } = delivering();
    const id = newId('del');
    const data = { deliveryId: id, redeliveryOf: delivery.id };
    const asked = recorded('delivery.redelivery_requested', data, { stream: streams.redelivery(id), orgId: OTHER });
    expect(after(asked).isEmpty).toBe(true);
  });
});

describe('any sequence of outcomes and requests', () => {
  it('gives the same rows whether it is read at once or event by event', () => {
    const step = fc.constantFrom('fail', 'final', 'deliver', 'again', 'exhaust');
    fc.assert(
      fc.property(fc.array(step, { maxLength: 15 }), (steps) => {
        const { table, delivery, webhookId } = delivering();
        const events: RecordedEvent[] = [];
        let attempts = 0;
        for (const name of steps) {
          const at = { ...delivery, attempts };
          if (name === 'fail') events.push(outcome(at, {}));
          else if (name === 'final') events.push(outcome(at, { retryable: false }));
          else if (name === 'deliver') events.push(outcome(at, 'delivered'));
          else if (name === 'again') events.push(again(delivery.id));
          else events.push(recorded('webhook.exhausted', { deliveryId: delivery.id, attempts }));
          if (['fail', 'final', 'deliver'].includes(name)) attempts += 1;
        }
        const rows = new Map([[delivery.id, delivery]]);
        const once = schedule(events, { table, rows });
        let row = delivery;
        let health = new Map<string, Health>();
        let isDue = true;
        for (const event of events) {
          const made = schedule([event], { table, rows: new Map([[row.id, row]]), health });
          if (made.changed.has(row.id)) isDue = made.due.has(row.id);
          row = made.changed.get(row.id) ?? row;
          health = new Map([...health, ...made.health]);
        }
        expect(once.changed.get(row.id) ?? delivery).toEqual(row);
        expect(once.health.get(webhookId)).toEqual(health.get(webhookId));
        if (once.changed.has(row.id)) expect(once.due.has(row.id)).toBe(isDue);
        // An attempt is due exactly when the row says when.
        expect(isDue).toBe(row.nextAttemptAt !== null);
      }),
    );
  });
});
