import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { DataOf } from '#libs/events/src/catalogue.js';
import { eventIdOf, FOLLOWS_FROM_ITSELF, followsFrom, followsFromItself } from '#libs/events/src/envelope.js';
import { streams } from '#libs/events/src/streams.js';
import { derivedId } from '#libs/kernel/src/ids.js';

import { type Health, healthAfter, isWornOut, newHealth } from '../webhook/health.js';
import { testDeliveryId } from '../webhook/test-delivery.js';
import type { WebhookTable } from '../webhook/webhook.table.js';
import {
  causeOf,
  type Delivery,
  type DeliveryKind,
  exhaust,
  plan,
  settle,
  targetOf,
  type TaskCause,
} from './delivery.js';
import { isWanted, mayCause } from './matching.js';
import { type EventPlace, placeOf } from './recent-events.js';

/** An attempt that is due from the delivery's `nextAttemptAt`, and what asked for it. */
export interface Due {
  readonly cause: TaskCause;
  /** Position and time of the event that asked for it. */
  readonly position: bigint;
  readonly askedAt: Date;
}

export interface Refusal {
  readonly event: RecordedEvent;
  readonly data: DataOf<'action.refused'>;
}

const TOO_MANY_HOPS = { reason: 'too-many-hops', detail: 'Too many causes led to the event: this looks like a loop.' };

/** The reason of a refusal, and its words. */
export interface SpentBudget {
  readonly reason: string;
  readonly detail: string;
}

export interface Disabling {
  readonly webhookId: string;
  readonly reason: 'gone' | 'failing';
  readonly detail: string;
  readonly event: RecordedEvent<'webhook.failed'>;
}

/** Ids of deliveries whose rows {@link Schedule.apply} will look for. */
export function deliveriesNamedBy(event: RecordedEvent): string | undefined {
  if (event.is('webhook.delivered', 'webhook.failed', 'webhook.exhausted', 'webhook.redelivery_requested'))
    return event.data.deliveryId;
  if (event.is('run.request_withdrawn')) return withdrawnIn(event);
  return event.is('delivery.redelivery_requested') ? event.data.redeliveryOf : undefined;
}

/** Of a request by `send_webhook` it follows from the request, as its row does. */
const withdrawnIn = ({ data }: RecordedEvent<'run.request_withdrawn'>): string =>
  data.deliveryId ?? requestedId(data.requestId);
const requestedId = (request: string): string => derivedId('del', 'delivery', 'request', request);

/** What is known of a delivery's first row: everything else begins empty. */
type Opening = Pick<Delivery, 'id' | 'webhookId' | 'url' | 'kind' | 'ownPayload'> &
  Partial<Pick<Delivery, 'rootId' | 'redeliveryOf' | 'secrets'>>;

/**
 * What becomes of one batch of events: rows that change, attempts that are due, webhooks to disable, requests to refuse.
 * Holds no I/O: rows that events name are put in before, the results taken out after.
 */
export class Schedule {
  readonly changed = new Map<string, Delivery>();
  readonly due = new Map<string, Due>();
  readonly health = new Map<string, Health>();
  readonly refusals: Refusal[] = [];
  readonly disablings: Disabling[] = [];
  readonly recoveries: RecordedEvent<'webhook.recovery_requested'>[] = [];
  /** Attempts whose outcome is known now. */
  readonly outcomes: (Pick<Delivery, 'webhookId' | 'kind'> & {
    readonly deliveryId: string;
    readonly attempt: number;
  })[] = [];
  /** Attempts that the run that asked for them no longer wants, by delivery: the row as it is without. */
  readonly withdrawn = new Map<string, { readonly row: Delivery; readonly cause: string }>();

  constructor(
    private readonly webhooks: WebhookTable,
    private readonly rows: ReadonlyMap<string, Delivery>,
    private readonly healthBefore: ReadonlyMap<string, Health>,
    /** Where events are that requests name, by the UUID of the request. */
    private readonly places: ReadonlyMap<string, EventPlace>,
    /** Why nobody may act on an event any more, by the budget of its story. */
    private readonly spent: (event: RecordedEvent) => SpentBudget | undefined = () => undefined,
  ) {}

  get isEmpty(): boolean {
    return this.changed.size === 0 && this.recoveries.length === 0 && this.withdrawn.size === 0;
  }

  /** In log order. */
  apply(event: RecordedEvent): void {
    this.webhooks.apply(event);
    this.deliverToSubscribers(event);
    // The streams say who wrote: events of these types that were published from outside change nothing.
    if (event.is('webhook.delivered', 'webhook.failed')) {
      if (event.stream === streams.delivery(event.data.deliveryId)) this.settle(event);
    } else if (event.is('webhook.redelivery_requested')) {
      if (streams.isRun(event.stream)) this.planAttempt(event);
    } else if (event.is('run.request_withdrawn')) {
      if (streams.isRun(event.stream)) this.withdraw(event);
    } else if (event.is('webhook.exhausted')) this.exhaust(event);
    else if (event.is('webhook.requested')) this.deliverOnRequest(event);
    else if (event.is('delivery.redelivery_requested')) {
      if (event.stream === streams.redelivery(event.data.deliveryId)) this.redeliver(event);
    } else if (event.is('webhook.test', 'webhook.recovery_requested')) {
      if (event.stream !== streams.webhook(event.data.webhookId)) return;
      if (event.is('webhook.test')) this.deliverTest(event);
      else if (event.is('webhook.recovery_requested')) this.recoveries.push(event);
    }
  }

  /** Opens a delivery like an earlier one, of the same message. */
  again(earlier: Delivery, id: string, event: RecordedEvent): void {
    const { eventId, eventType, eventStream, eventRevision, rootId, webhookId, url, ownPayload, secrets } = earlier;
    const carried = { id: eventId, stream: eventStream, revision: eventRevision, type: eventType };
    const opening = {
      id,
      rootId,
      webhookId,
      url,
      ownPayload,
      secrets,
      kind: 'redelivery' as const,
      redeliveryOf: earlier.id,
    };
    this.open(opening, carried, event);
  }

  private deliverToSubscribers(event: RecordedEvent): void {
    const subscribed = this.webhooks.subscribedTo(event.type);
    if (subscribed.length === 0) return;
    const wanting = subscribed.filter(
      (webhook) => isWanted(webhook, event) && !(event.is('webhook.test') && event.data.webhookId === webhook.id),
    );
    if (wanting.length === 0) return;
    // That the story is too long was told once.
    if (this.spent(event)) return;
    if (!mayCause(event.metadata)) {
      // An event about this refusal would be refused in turn, without end.
      if (event.type !== 'action.refused') this.refuse(event, 'deliver', TOO_MANY_HOPS.reason, TOO_MANY_HOPS.detail);
      return;
    }
    for (const { id: webhookId } of wanting)
      this.openFor(webhookId, event, 'subscription', derivedId('del', 'delivery', webhookId, eventIdOf(event.id)));
  }

  private deliverTest(event: RecordedEvent<'webhook.test'>): void {
    const { webhookId } = event.data;
    if (this.webhooks.get(webhookId) === undefined) return;
    this.openFor(webhookId, event, 'test', testDeliveryId(webhookId, event.id));
  }

  private openFor(webhookId: string, event: RecordedEvent, kind: DeliveryKind, id: string): void {
    const carried = { ...placeOf(event), id: eventIdOf(event.id) };
    this.open({ id, webhookId, url: null, kind, ownPayload: false }, carried, event);
  }

  private deliverOnRequest(event: RecordedEvent<'webhook.requested'>): void {
    if (!streams.isDecisions(event.stream) && !streams.isRun(event.stream)) return;
    const { webhookId, url, payload, secrets = null } = event.data;
    const refuse = (reason: string, detail: string): void => this.refuse(event, 'send_webhook', reason, detail);
    const known = webhookId === undefined ? undefined : this.webhooks.get(webhookId);
    if (url === undefined && known?.orgId !== event.metadata.orgId)
      return refuse('unknown-webhook', `There is no outbound webhook ${webhookId ?? '(none named)'}.`);
    if (known?.active === false) return refuse('webhook-disabled', `Webhook ${known.id} is disabled: enable it first.`);
    const refusal = mayCause(event.metadata) ? this.spent(event) : TOO_MANY_HOPS;
    if (refusal) return refuse(refusal.reason, refusal.detail);
    const target = { webhookId: known?.id ?? null, url: known ? null : (url ?? null) };
    if (known?.settings.allowRecursion !== true && followsFrom(targetOf(target), event.metadata))
      return refuse(FOLLOWS_FROM_ITSELF, followsFromItself('receiver'));
    const ownPayload = payload !== undefined;
    const about = this.places.get(event.id);
    // A payload is read from the request; the receiver gets the type of the event that led to it.
    const place = ownPayload ? { ...placeOf(event), type: about?.type ?? event.type } : about;
    if (!place) return refuse('unknown-event', `Event ${event.data.eventId} is no longer in the log.`);
    const carried = { ...place, id: ownPayload ? eventIdOf(event.id) : event.data.eventId };
    this.open({ id: requestedId(event.id), ...target, kind: 'action', ownPayload, secrets }, carried, event);
  }

  private redeliver(event: RecordedEvent<'delivery.redelivery_requested'>): void {
    const earlier = this.row(event.data.redeliveryOf);
    if (earlier?.orgId === event.metadata.orgId) this.again(earlier, event.data.deliveryId, event);
  }

  private settle(event: RecordedEvent<'webhook.delivered' | 'webhook.failed'>): void {
    const before = this.row(event.data.deliveryId);
    if (!before) return;
    const after = settle(before, event);
    if (after === before) return;
    this.change(after, undefined);
    const { webhookId: to, kind } = before;
    this.outcomes.push({ deliveryId: before.id, attempt: event.data.attempt, webhookId: to, kind });
    if (before.webhookId === null || before.kind === 'test') return;
    const { webhookId } = before;
    const health = healthAfter(this.healthOf(webhookId), event);
    this.health.set(webhookId, health);
    if (!event.is('webhook.failed')) return;
    if (event.data.status === 410)
      this.disablings.push({ webhookId, reason: 'gone', detail: 'The receiver answered 410 Gone.', event });
    else if (isWornOut(health, event.metadata.timestamp))
      this.disablings.push({
        webhookId,
        reason: 'failing',
        detail: `Every attempt since ${health.failingSince} failed; the last one: ${event.data.detail}`,
        event,
      });
  }

  private planAttempt(event: RecordedEvent<'webhook.redelivery_requested'>): void {
    const { deliveryId, afterMs, requestedBy } = event.data;
    const row = this.row(deliveryId);
    const refuse = (reason: string, detail: string): void =>
      this.refuse(event, 'redeliver_webhook', reason, detail, requestedBy);
    if (row?.orgId !== event.metadata.orgId) return refuse('unknown-delivery', `There is no delivery ${deliveryId}.`);
    if (row.kind === 'test') return refuse('test-delivery', 'Test deliveries are not retried.');
    if (row.status === 'success') return refuse('already-delivered', `Delivery ${deliveryId} has succeeded.`);
    if (row.nextAttemptAt !== null)
      return refuse('already-planned', `Another attempt of delivery ${deliveryId} is due at ${row.nextAttemptAt}.`);
    if (!mayCause(event.metadata)) return refuse(TOO_MANY_HOPS.reason, TOO_MANY_HOPS.detail);
    const planned = plan(row, afterMs, event.metadata.timestamp);
    this.change({ ...planned, status: 'pending', finishedAt: null }, event);
  }

  /** Whether the attempt has begun is seen when the rows are written. */
  private withdraw(event: RecordedEvent<'run.request_withdrawn'>): void {
    const row = this.row(withdrawnIn(event));
    if (row?.orgId !== event.metadata.orgId || row.nextAttemptAt === null) return;
    const after = exhaust(row, event.metadata.timestamp);
    this.withdrawn.set(row.id, { row: after, cause: event.data.requestId });
  }

  private exhaust(event: RecordedEvent<'webhook.exhausted'>): void {
    const row = this.row(event.data.deliveryId);
    // An attempt that is still due will tell how it ends.
    if (row?.orgId === event.metadata.orgId && row.nextAttemptAt === null) {
      const after = exhaust(row, event.metadata.timestamp);
      if (after !== row) this.change(after, undefined);
    }
  }

  private open(opening: Opening, event: EventPlace & { readonly id: string }, by: RecordedEvent): void {
    const createdAt = by.created.toISOString();
    const row: Delivery = {
      rootId: opening.id,
      redeliveryOf: null,
      secrets: null,
      ...opening,
      orgId: by.metadata.orgId,
      eventId: event.id,
      eventType: event.type,
      eventStream: event.stream,
      eventRevision: event.revision,
      status: 'pending',
      attempts: 0,
      responseCode: null,
      latencyMs: null,
      failureClass: null,
      retryAfter: null,
      lastAttemptAt: null,
      nextAttemptAt: createdAt,
      createdAt,
      finishedAt: null,
      position: String(by.position),
    };
    this.change(row, by);
  }

  private change(row: Delivery, askedBy: RecordedEvent | undefined): void {
    this.changed.set(row.id, row);
    if (askedBy)
      this.due.set(row.id, { cause: causeOf(askedBy), position: askedBy.position, askedAt: askedBy.created });
    else this.due.delete(row.id);
  }

  private row(id: string): Delivery | undefined {
    return this.changed.get(id) ?? this.rows.get(id);
  }

  private healthOf(webhookId: string): Health {
    return this.health.get(webhookId) ?? this.healthBefore.get(webhookId) ?? newHealth(webhookId);
  }

  private refuse(
    event: RecordedEvent,
    action: string,
    reason: string,
    detail: string,
    requestedBy = event.is('webhook.requested') ? event.data.requestedBy : undefined,
  ): void {
    const eventId = event.is('webhook.requested') ? event.data.eventId : eventIdOf(event.id);
    this.refusals.push({ event, data: { action, reason, detail, eventId, ...(requestedBy && { requestedBy }) } });
  }
}
