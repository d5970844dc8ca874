import { hash } from 'node:crypto';

import type { EventToAppend } from '#libs/event-store/src/event-store.js';
import type { RequestMetadata } from '#libs/events/src/envelope.js';
import { streams } from '#libs/events/src/streams.js';
import { type Uuid, uuid5, uuid7 } from '#libs/kernel/src/ids.js';
import { isObject } from '#libs/kernel/src/json.js';
import type { Log } from '#libs/kernel/src/log.js';
import type {
  InboundBody,
  InboundRequest,
  NormalisedEvent,
  Provider,
  ProviderContext,
} from '#libs/plugin-sdk/src/define-provider.js';
import { BodyFault, parseBody } from '#libs/plugin-sdk/src/inbound-body.js';

import type { Receiver } from '../integration/integration.table.js';
import { byDelivery, type Element } from './by-delivery.js';
import { type DeliveryFacts, type InboundDraft, inboundEventsOf } from './inbound-event.js';
import { atOnce } from './provider-output.js';
import { EVENT_TOO_LARGE, malformed, Refusal, unreadable } from './refusal.js';
import { reportFailure } from './report-failure.js';
import type { Verified } from './verify-request.js';

/** What the sender delivered under one id. */
export interface Delivery {
  /** Undefined: the sender gave none, every request is new. */
  readonly deliveryId: string | undefined;
  /** Named after the delivery: it can be opened once. */
  readonly stream: string;
  readonly events: readonly EventToAppend[];
  /** How many lines or elements it is made of: one of several may come again with more of them. */
  readonly elements: number;
}

/** What a request becomes: everything but the append. */
export interface Understood extends Verified {
  /** One; of several lines or elements, one for each id. None where the provider wants nothing recorded. */
  readonly deliveries: readonly Delivery[];
  /** For the provider's own answer, where it has one: of several lines the first. */
  readonly body: InboundBody | undefined;
  readonly retry: string | undefined;
}

/** Parses a request that was verified, asks its provider what happened, and puts the events together. */
export function understand(
  receiver: Receiver,
  request: InboundRequest,
  verified: Verified,
  log: Log,
): Understood | Refusal {
  const parsed = parseBody(request);
  if (parsed instanceof BodyFault) return unreadable(parsed);
  const { provider, context, authentication } = verified;
  const elements: Element[] = [];
  for (const { value, text } of parsed.values) {
    const made = normalised(provider, { value, kind: parsed.kind, request }, context, log);
    if (made instanceof Refusal) return made;
    const deliveryId = receiver.dedupeKey?.of(value) ?? made.deliveryId;
    elements.push({ ...made, deliveryId, payload: text });
  }
  const { retry } = elements[0]!;
  const metadata = requestMetadata(verified, request, retry);
  const deliveries: Delivery[] = [];
  const deliver = (part: readonly Element[]): Refusal | undefined => {
    const delivery = deliveryOf(receiver, request, verified, metadata, part, log);
    if (delivery instanceof Refusal) return delivery;
    if (delivery.events.length > 0) deliveries.push(delivery);
    return undefined;
  };
  for (const part of byDelivery(elements)) {
    let refusal = deliver(part);
    // What has no id need not be together: it is new in any case.
    if (refusal === EVENT_TOO_LARGE && part[0]!.deliveryId === undefined) {
      refusal = undefined;
      for (const element of part) refusal ??= deliver([element]);
    }
    if (refusal) return refusal;
  }
  // What nobody will look at is let go before the append: what lives through it costs a collection twice.
  const body = provider.respond && { value: parsed.values[0]!.value, kind: parsed.kind, request };
  return { provider, context, authentication, deliveries, body, retry };
}

function deliveryOf(
  receiver: Receiver,
  request: InboundRequest,
  { provider, context }: Verified,
  metadata: RequestMetadata,
  elements: readonly Element[],
  log: Log,
): Delivery | Refusal {
  const { deliveryId } = elements[0]!;
  const now = context.now.getTime();
  const key = deliveryId ?? uuid7(now);
  const stream = streams.inbound(receiver.id, key);
  const drafts: InboundDraft[] = [];
  for (const { events, eventType, action, payload } of elements)
    for (const event of events) {
      const id = deliveryId === undefined ? uuid7(now) : eventUuid(stream, drafts.length);
      drafts.push({ id, eventType, action, normalised: event, payload });
    }
  const facts = {
    integrationId: receiver.id,
    orgId: receiver.orgId,
    provider: provider.name,
    deliveryId: key,
    sourceIp: request.sourceIp,
    request: metadata,
    now: context.now,
  };
  const events = eventsOf(facts, drafts, provider, log);
  return events ? { deliveryId, stream, events, elements: elements.length } : EVENT_TOO_LARGE;
}

/**
 * Of the events of a delivery: the first has the UUID that its stream is named after, the others follow from it. So they
 * are derived from integration, delivery and place, and the usual single event costs one hash, not two.
 */
export function eventUuid(stream: string, index: number): Uuid {
  const first = streams.uuidIn(stream);
  return index === 0 ? first : uuid5('inbound', first, String(index));
}

/** Fields that JSON cannot hold are a bug of the provider too: then the events are kept without them. */
function eventsOf(facts: DeliveryFacts, drafts: readonly InboundDraft[], provider: Provider, log: Log) {
  try {
    return inboundEventsOf(facts, drafts);
  } catch (error) {
    reportFailure(log, provider, 'normalise', error);
    const bare = drafts.map((draft) => ({ ...draft, normalised: { ...draft.normalised, data: {} } }));
    return inboundEventsOf(facts, bare);
  }
}

/** What a provider made of an element; `deliveryId` is the sender's own. */
type Made = Omit<Element, 'payload'>;

/**
 * What the provider makes of a body, in the shape that it has promised. A provider that fails does not lose it: the
 * request was believed, so it is kept as the webhook that it is.
 */
function normalised(provider: Provider, body: InboundBody, context: ProviderContext, log: Log): Made | Refusal {
  try {
    const made = atOnce(provider.normalise(body, context));
    if ('unreadable' in made) return malformed('inbound.unreadable', made.unreadable);
    const { deliveryId, idOf, eventType, action, retry, events } = made;
    if (!Array.isArray(events)) throw new TypeError('events is not a list');
    const id = textOf(deliveryId);
    return {
      deliveryId: id,
      eventId: idOf === 'event' ? id : undefined,
      eventType: textOf(eventType) ?? 'unknown',
      action: textOf(action),
      retry: textOf(retry),
      events: events.map(eventOf),
    };
  } catch (error) {
    reportFailure(log, provider, 'normalise', error);
    const event = { type: 'webhook.received', subject: '', data: {} };
    return {
      deliveryId: undefined,
      eventId: undefined,
      eventType: 'unknown',
      action: undefined,
      retry: undefined,
      events: [event],
    };
  }
}

const textOf = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined);

/** @throws TypeError for what no provider may give. */
function eventOf(event: NormalisedEvent): NormalisedEvent {
  const { type, subject, timestamp, data } = event;
  if (typeof type !== 'string' || typeof subject !== 'string' || !isObject(data))
    throw new TypeError('an event has no type, subject or data');
  const when = typeof timestamp === 'string' || typeof timestamp === 'number' ? timestamp : undefined;
  return { type, subject, timestamp: when, data };
}

function requestMetadata(
  { provider, authentication }: Verified,
  request: InboundRequest,
  retry: string | undefined,
): RequestMetadata {
  const headers: Record<string, string> = {};
  for (const name of provider.keepHeaders ?? []) {
    const value = request.headers[name];
    if (typeof value === 'string') headers[name] = value;
  }
  return {
    headers,
    bodySha256: hash('sha256', request.rawBody, 'hex'),
    authentication,
    sourceIp: request.sourceIp,
    ...(retry === undefined ? {} : { retry }),
  };
}
