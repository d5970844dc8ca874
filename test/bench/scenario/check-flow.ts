import type { Acknowledged } from '../load/load-process.js';
import type { Call } from '../load/receiver-process.js';

/** As the API lists it. */
export interface Delivery {
  readonly eventId: string;
  readonly webhookId: string;
  readonly messageId: string;
  readonly status: string;
  readonly attempts: number;
}

/** Reports each kind of fault once, with its count: a broken run has thousands of the same kind. */
export class Faults {
  private readonly kinds = new Map<string, { count: number; readonly example: string }>();

  add(kind: string, example = ''): void {
    const known = this.kinds.get(kind);
    if (known) known.count++;
    else this.kinds.set(kind, { count: 1, example });
  }

  get list(): readonly string[] {
    return [...this.kinds].map(
      ([kind, { count, example }]) => `${kind}: ${count}${example === '' ? '' : `, for instance ${example}`}`,
    );
  }
}

/**
 * Every acknowledged request must have led to one call, at the right receiver, with valid signatures; and there must be no
 * other call. Variant n goes to port n.
 */
export function checkCalls(acknowledged: readonly Acknowledged[], calls: readonly Call[], faults: Faults): void {
  const wanted = new Map(acknowledged.map((one) => [one.id, one.variant]));
  const seen = new Set<string>();
  for (const { deliveryId = '(none)', port, signed } of calls) {
    const variant = wanted.get(deliveryId);
    if (variant === undefined) faults.add('unrequested calls', deliveryId);
    else if (variant !== port) faults.add('calls at the wrong receiver', deliveryId);
    if (!signed) faults.add('calls with a wrong signature', deliveryId);
    if (seen.has(deliveryId)) faults.add('deliveries that arrived twice', deliveryId);
    seen.add(deliveryId);
  }
  for (const id of wanted.keys()) if (!seen.has(id)) faults.add('acknowledged, but never delivered', id);
}

/**
 * Every acknowledged request must have led to an event with one delivery, to the webhook of its variant, after one attempt
 * (or more, where receivers kept calls waiting); and the call that arrived must carry the `webhook-id` of that delivery.
 */
export function checkDeliveries(
  { acknowledged, calls }: { readonly acknowledged: readonly Acknowledged[]; readonly calls: readonly Call[] },
  deliveries: readonly Delivery[],
  webhooks: readonly string[],
  faults: Faults,
  attempts: 'one' | 'any' = 'one',
): void {
  const wanted = new Map(acknowledged.map((one) => [one.answerId, one]));
  const messages = new Map(calls.map(({ deliveryId, messageId }) => [deliveryId, messageId]));
  const seen = new Set<string>();
  for (const one of deliveries) {
    const request = wanted.get(one.eventId);
    if (!request) continue;
    if (seen.has(one.eventId)) faults.add('events with two deliveries', one.eventId);
    seen.add(one.eventId);
    if (one.webhookId !== webhooks[request.variant]) faults.add('deliveries to another webhook', one.eventId);
    if (one.status !== 'success') faults.add(`deliveries that are ${one.status}`, one.eventId);
    if (attempts === 'one' && one.attempts !== 1) faults.add('deliveries without exactly one attempt', one.eventId);
    if (messages.get(request.id) !== one.messageId) faults.add('calls with another webhook-id', request.id);
  }
  for (const eventId of wanted.keys()) if (!seen.has(eventId)) faults.add('events without a delivery', eventId);
}
