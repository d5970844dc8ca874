import type { FailureClass } from '#libs/egress/src/egress.js';
import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import { actedBy, type Cause, personalOf } from '#libs/events/src/envelope.js';
import type { SecretPlace } from '#libs/events/src/secrets/secret-places.js';
import { uuid5, type Uuid } from '#libs/kernel/src/ids.js';
import { timeAfter } from '#libs/kernel/src/time/times.js';

/** Name of the queue of attempts. */
export const ATTEMPTS = 'deliveries.attempt';
/** Id of the event that an attempt ends with. The zero keeps the ids that older versions derived. */
export const outcomeId = (deliveryId: string, attempt: number): Uuid =>
  uuid5(ATTEMPTS, deliveryId, String(attempt), '0');

/** Why there is a delivery: a subscription, an action, a redelivery by hand, a test. */
export type DeliveryKind = 'subscription' | 'action' | 'redelivery' | 'test';

/**
 * One event to one webhook, as its row tells it. `pending` while an attempt is due or may still be asked for; `success`
 * after a 2xx; `failed` when there will be no more: exhausted, answered 410, refused, or a test.
 */
export interface Delivery {
  readonly id: string;
  /** The first delivery of the message: redeliveries share its `webhook-id`. */
  readonly rootId: string;
  readonly orgId: string;
  /** `null` where an action named a bare URL. */
  readonly webhookId: string | null;
  readonly url: string | null;
  readonly kind: DeliveryKind;
  /** The event whose id and type it carries, and where the log keeps it. */
  readonly eventId: string;
  readonly eventType: string;
  readonly eventStream: string;
  readonly eventRevision: string;
  /** Whether the body is the event's own `payload` in place of the event. */
  readonly ownPayload: boolean;
  /** Where secrets are put into `/url` and `/payload`; `null` for nowhere. */
  readonly secrets: readonly SecretPlace[] | null;
  readonly status: 'pending' | 'success' | 'failed';
  readonly attempts: number;
  readonly responseCode: number | null;
  readonly latencyMs: number | null;
  readonly failureClass: FailureClass | null;
  /** Seconds that the receiver asked for in its last answer. */
  readonly retryAfter: number | null;
  readonly lastAttemptAt: string | null;
  readonly nextAttemptAt: string | null;
  readonly redeliveryOf: string | null;
  readonly createdAt: string;
  readonly finishedAt: string | null;
  /** Of the event that it follows from: the order of lists. */
  readonly position: string;
}

/** What a worker needs for one attempt, besides the webhook and the event. */
export interface AttemptTask {
  readonly deliveryId: string;
  readonly rootId: string;
  readonly orgId: string;
  readonly webhookId: string | null;
  readonly url: string | null;
  readonly kind: DeliveryKind;
  readonly eventId: string;
  readonly eventType: string;
  readonly eventStream: string;
  readonly eventRevision: string;
  readonly ownPayload: boolean;
  readonly secrets?: readonly SecretPlace[];
  readonly attempt: number;
  /** What the outcome names as its cause. */
  readonly cause: TaskCause;
  /** The row was written long after the event: the attempt may have been made already. */
  readonly late: boolean;
}

export interface TaskCause {
  readonly id: Uuid;
  readonly correlationId: Uuid;
  readonly hop: number;
  /** Absent in what an older version scheduled. */
  readonly causedBy?: readonly string[];
  readonly personal?: readonly string[];
}

export const causeOf = (event: RecordedEvent): TaskCause => ({
  id: event.id,
  correlationId: event.metadata.$correlationId,
  hop: event.metadata.hop,
  causedBy: event.metadata.causedBy ?? [],
  ...personalOf(event.metadata),
});

/**
 * What the events of an attempt inherit: they follow from the webhook. A bare URL has none, and the rule or run that
 * named it is on the path already; a failure is noted, since its event would go to another bare URL.
 */
export const outcomeCause = (
  cause: TaskCause,
  { webhookId }: Pick<Delivery, 'webhookId'>,
  hasFailed: boolean,
): Cause => ({
  $correlationId: cause.correlationId,
  $causationId: cause.id,
  hop: cause.hop + 1,
  ...actedBy(cause.causedBy, webhookId ?? (hasFailed ? BARE_URL : undefined)),
  ...personalOf(cause),
});

/** What stands for the receiver on the path of causes: its webhook, or one word for all bare URLs. */
export const targetOf = ({ webhookId }: Pick<Delivery, 'webhookId'>): string => webhookId ?? BARE_URL;
export const BARE_URL = 'url';

export function taskOf(delivery: Delivery, cause: TaskCause, late: boolean): AttemptTask {
  const { id, rootId, orgId, webhookId, url, kind, eventId, eventType, eventStream, eventRevision, ownPayload } =
    delivery;
  const event = { eventId, eventType, eventStream, eventRevision, ownPayload };
  return {
    deliveryId: id,
    rootId,
    orgId,
    webhookId,
    url,
    kind,
    ...event,
    ...(delivery.secrets && { secrets: delivery.secrets }),
    attempt: delivery.attempts + 1,
    cause,
    late,
  };
}

type OutcomeEvent = RecordedEvent<'webhook.delivered' | 'webhook.failed'>;

/** The row after an outcome. An outcome that is known already changes nothing. */
export function settle(delivery: Delivery, event: OutcomeEvent): Delivery {
  const { attempt, latencyMs, status } = event.data;
  if (attempt <= delivery.attempts) return delivery;
  const at = event.metadata.timestamp;
  const attempted = {
    ...delivery,
    attempts: attempt,
    responseCode: status ?? null,
    latencyMs,
    lastAttemptAt: at,
    nextAttemptAt: null,
  };
  if (!event.is('webhook.failed'))
    return { ...attempted, status: 'success', failureClass: null, retryAfter: null, finishedAt: at };
  const { failureClass, retryable, retryAfter } = event.data;
  return {
    ...attempted,
    failureClass,
    retryAfter: retryAfter ?? null,
    ...(retryable ? {} : { status: 'failed', finishedAt: at }),
  };
}

/** The row after all its attempts were used up. */
export const exhaust = (delivery: Delivery, at: string): Delivery =>
  delivery.status === 'pending' ? { ...delivery, status: 'failed', nextAttemptAt: null, finishedAt: at } : delivery;

/** The row with its next attempt so long after its last failure. */
export function plan(delivery: Delivery, afterMs: number, now: string): Delivery {
  const delay = delayAfterFailure(afterMs, delivery.retryAfter ?? undefined);
  const from = new Date(delivery.lastAttemptAt ?? now);
  return { ...delivery, nextAttemptAt: timeAfter(from, delay).toISOString() };
}

/** What `webhook-id` says: the same for every attempt and redelivery of one event to one webhook. */
export const messageIdOf = (rootId: string): string => `msg_${rootId.slice(rootId.indexOf('_') + 1)}`;

/** How long to wait after a failure: what was asked for, or what the receiver asked for up to twice that. */
export function delayAfterFailure(afterMs: number, retryAfter: number | undefined): number {
  return Math.max(afterMs, Math.min((retryAfter ?? 0) * 1000, afterMs * 2));
}
