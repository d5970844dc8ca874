import type { RawJson } from '#libs/event-store/src/new-event.js';
import type { Cause } from '#libs/events/src/envelope.js';
import type { Normalised, NormalisedEvent } from '#libs/plugin-sdk/src/define-provider.js';

/** A body, one line of it or one element of a batch, with what the provider made of it. */
export interface Element {
  /** By `dedupeKey` of the integration, else the sender's own. Undefined: it is new, whenever it comes. */
  readonly deliveryId: string | undefined;
  /** Set where the sender's id names the event itself: what has the same one is the same event. */
  readonly eventId: string | undefined;
  readonly eventType: Normalised['eventType'];
  readonly action: string | undefined;
  readonly retry: string | undefined;
  /** `source` of its events, where that is not the provider. */
  readonly source: string | undefined;
  readonly events: readonly NormalisedEvent[];
  /** JSON text of the payload, as the sender wrote it. */
  readonly payload: RawJson;
  /** What its events follow from, where we ourselves did what the sender tells of. */
  readonly cause?: Cause | undefined;
}

/**
 * The elements of one request by the delivery that they belong to, in the order in which these come up: those with the same
 * delivery id are parts of one, and so are those that have none. An event that is there twice is taken once.
 */
export function byDelivery(elements: readonly Element[]): readonly (readonly Element[])[] {
  if (elements.length === 1) return [elements];
  const events = new Set<string>();
  const deliveries = new Map<string | undefined, Element[]>();
  for (const element of elements) {
    const { deliveryId, eventId } = element;
    if (eventId !== undefined) {
      if (events.has(eventId)) continue;
      events.add(eventId);
    }
    const delivery = deliveries.get(deliveryId);
    if (delivery) delivery.push(element);
    else deliveries.set(deliveryId, [element]);
  }
  return [...deliveries.values()];
}
