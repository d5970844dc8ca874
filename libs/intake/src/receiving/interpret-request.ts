import { hash } from 'node:crypto';

import type { EventToAppend } from '#libs/event-store/src/event-store.js';
import { RawJson } from '#libs/event-store/src/new-event.js';
import {
  type Cause,
  causeBelongsTo,
  replyBelongsTo,
  type RequestMetadata,
  type SealedText,
} from '#libs/events/src/envelope.js';
import { streams } from '#libs/events/src/streams.js';
import { compilePersonal, type PersonalIn } from '#libs/expressions/src/personal/personal-fields.js';
import { type Uuid, uuid5, uuid7 } from '#libs/kernel/src/ids.js';
import { isObject, type Json } from '#libs/kernel/src/json.js';
import { parseAsWritten, parseJson, stringifyJson, wroteExactNumbers } from '#libs/kernel/src/text/exact-json.js';
import type { Log } from '#libs/kernel/src/log.js';
import type {
  InboundBody,
  InboundRequest,
  NormalisedEvent,
  Provider,
  ProviderContext,
} from '#libs/plugin-sdk/src/define-provider.js';
import { headerText } from '#libs/plugin-sdk/src/body/body-text.js';
import { TOO_MANY_LINES } from '#libs/plugin-sdk/src/body/body-fault.js';
import {
  BodyFault,
  MAX_LINES,
  parseBody,
  type ParsedBody,
  type ParsedValue,
} from '#libs/plugin-sdk/src/body/inbound-body.js';

import type { Receiver } from '../integration/integration.table.js';
import type { DoneBy, OwnChanges } from '../integration/own-changes.table.js';
import { byDelivery, type Element } from './by-delivery.js';
import { type DeliveryFacts, type InboundDraft, inboundEventsOf } from './inbound-event.js';
import { atOnce } from './provider-output.js';
import { EVENT_TOO_LARGE, malformed, Refusal, unreadable } from './refusal.js';
import { reportFailure } from './report-failure.js';
import type { Verified, VerifierParts } from './verify-request.js';

/** What the sender delivered under one id. */
export interface Delivery {
  /** Undefined: the sender gave none, and every request is new. */
  readonly deliveryId: string | undefined;
  /** Named after the delivery: it can be opened once. */
  readonly stream: string;
  readonly events: readonly EventToAppend[];
  /** Number of lines or elements in it: a delivery of several may come again with more. */
  readonly elements: number;
}

/** What becomes of a request: everything but the append. */
export interface InterpretedRequest extends Verified {
  /** One; of several lines or elements, one for each id. None where the provider wants nothing recorded, or the batch is empty. */
  readonly deliveries: readonly Delivery[];
  /** For the provider's own answer, where it has one: the first line or element. */
  readonly body: InboundBody | undefined;
  readonly retry: string | undefined;
}

/** Encrypts what nobody is shown, and reads what was encrypted here. */
export interface Sealing {
  seal(text: string, belongsTo: readonly string[]): SealedText;
  /** `undefined` for what was not encrypted here, or for something else. */
  open(sealed: SealedText, belongsTo: readonly string[]): string | undefined;
}

export interface InterpreterParts extends Pick<VerifierParts, 'log' | 'ownTypes'> {
  /** Absent: addresses for answers are not kept, and marks not read. */
  readonly sealing?: Sealing | undefined;
  /** Absent: only marks tell what follows from our own requests. */
  readonly ownChanges?: Pick<OwnChanges, 'causeOf'> | undefined;
}

/** Parses a verified request, asks its provider what happened, and puts the events together. */
export function interpretRequest(
  receiver: Receiver,
  request: InboundRequest,
  verified: Verified,
  parts: InterpreterParts,
): InterpretedRequest | Refusal {
  const { log, sealing, ownChanges } = parts;
  const { provider, context, authentication } = verified;
  const isJson = provider.readsJson?.(context) === true;
  const parsed = parseBody(isJson ? { ...request, contentType: 'application/json' } : request, provider.anyBody);
  if (parsed instanceof BodyFault) return unreadable(parsed);
  const bodies = takenApart(parsed, request, provider, context);
  if (bodies.length > MAX_LINES) return unreadable(TOO_MANY_LINES);
  const elements: Element[] = [];
  let isMasked = false;
  let replyTo: string | undefined;
  for (const { text, mayHoldExact, ...body } of bodies) {
    const made = normalised(provider, body, context, log);
    if (made instanceof Refusal) return made;
    const deliveryId = receiver.dedupeKey?.of(body.value) ?? made.deliveryId;
    const marked = made.cause === undefined ? undefined : causeOf(made.cause, receiver.orgId, sealing);
    const cause = marked ?? (made.doneBy && ownChanges?.causeOf(receiver.id, made.doneBy, context.now));
    elements.push({ ...made, deliveryId, cause, payload: made.payload ?? new RawJson(text, mayHoldExact) });
    isMasked ||= made.payload !== undefined;
    replyTo ??= made.replyTo;
  }
  const retry = elements[0]?.retry;
  // The hash of a body that holds a weak token would let it be guessed.
  const hashed = isMasked ? elements.map(({ payload }) => payload.text).join('\n') : request.rawBody;
  const metadata = {
    ...requestMetadata(verified, request, retry, hashed),
    ...(replyTo !== undefined && sealing && { replyTo: sealing.seal(replyTo, replyBelongsTo(receiver.id)) }),
  };
  const deliveries: Delivery[] = [];
  const deliver = (part: readonly Element[]): Refusal | undefined => {
    const delivery = deliveryOf(receiver, request, verified, metadata, part, parts);
    if (delivery instanceof Refusal) return delivery;
    if (delivery.events.length > 0) deliveries.push(delivery);
    return undefined;
  };
  for (const part of byDelivery(elements)) {
    let refusal = deliver(part);
    // What has no id need not be stored together: it is new in any case.
    if (refusal === EVENT_TOO_LARGE && part[0]!.deliveryId === undefined) {
      refusal = undefined;
      for (const element of part) refusal ??= deliver([element]);
    }
    if (refusal) return refusal;
  }
  // What nobody needs any more is released before the append: garbage that survives it is collected at twice the cost.
  const [first] = parsed.values;
  const body = provider.respond && first && { value: first.value, kind: parsed.kind, request };
  return { provider, context, authentication, deliveries, body, retry };
}

/** The bodies that are normalised each by itself: lines, elements of a batch, or those that the provider finds in one. */
function takenApart(
  { kind, values }: ParsedBody,
  request: InboundRequest,
  provider: Provider,
  context: ProviderContext,
): readonly (InboundBody & Pick<ParsedValue, 'text' | 'mayHoldExact'>)[] {
  return values.flatMap(({ value, text, mayHoldExact }) => {
    const elements = provider.elements?.(value, context);
    if (!elements) return [{ value, text, mayHoldExact, kind, request }];
    const written = mayHoldExact ? provider.elements!(parseAsWritten(text) as Json, context)! : elements;
    return elements.map((one, index) => ({
      value: one,
      text: stringifyJson(written[index]),
      mayHoldExact,
      kind,
      request,
      index,
    }));
  });
}

function deliveryOf(
  receiver: Receiver,
  request: InboundRequest,
  { provider, context }: Verified,
  metadata: RequestMetadata,
  elements: readonly Element[],
  { log, ownTypes }: InterpreterParts,
): Delivery | Refusal {
  const { deliveryId, source } = elements[0]!;
  const now = context.now.getTime();
  const key = deliveryId ?? uuid7(now);
  const stream = streams.inbound(receiver.id, key);
  const drafts: InboundDraft[] = [];
  for (const { events, eventType, action, payload, cause } of elements)
    for (const event of events) {
      const id = deliveryId === undefined ? uuid7(now) : eventUuid(stream, drafts.length);
      drafts.push({ id, eventType, action, normalised: event, payload, cause });
    }
  const facts = {
    integrationId: receiver.id,
    orgId: receiver.orgId,
    provider: provider.name,
    source: source ?? provider.name,
    deliveryId: key,
    sourceIp: request.sourceIp,
    request: metadata,
    now: context.now,
    ownType: (type: string) => ownTypes?.find(receiver.orgId, type),
    personalIn: personalIn(receiver, provider),
  };
  const isDivisible = deliveryId === undefined && elements.length > 1;
  const events = eventsOf(facts, drafts, isDivisible, provider, log);
  return events ? { deliveryId, stream, events, elements: elements.length } : EVENT_TOO_LARGE;
}

/** What the integration declares, or its provider for it. */
function personalIn({ personal }: Receiver, provider: Provider): PersonalIn | undefined {
  const declared = personal === true ? provider.personal : personal;
  return declared && compilePersonal(declared);
}

/**
 * The first event of a delivery has the UUID that its stream is named after, the others follow from it. So they are
 * derived from integration, delivery and place, and the usual single event costs one hash, not two.
 */
export function eventUuid(stream: string, index: number): Uuid {
  const first = streams.uuidIn(stream);
  return index === 0 ? first : uuid5('inbound', first, String(index));
}

/** Fields that JSON cannot hold are a bug of the provider too: the events are kept without them. */
function eventsOf(
  facts: DeliveryFacts,
  drafts: readonly InboundDraft[],
  isDivisible: boolean,
  provider: Provider,
  log: Log,
) {
  try {
    return inboundEventsOf(facts, drafts, isDivisible);
  } catch (error) {
    reportFailure(log, provider, 'normalise', error);
    const bare = drafts.map((draft) => ({ ...draft, normalised: { ...draft.normalised, data: {} } }));
    return inboundEventsOf(facts, bare, isDivisible);
  }
}

/** What a provider made of an element; `deliveryId` is the sender's own. */
type Made = Omit<Element, 'payload' | 'cause'> & {
  /** In place of what the sender wrote. */
  readonly payload?: RawJson;
  readonly replyTo?: string | undefined;
  /** Encrypted. */
  readonly cause?: string | undefined;
  readonly doneBy?: DoneBy | undefined;
};

/**
 * What the provider makes of a body, in the shape that it has promised. A provider that fails loses nothing: the request is
 * genuine, so it is recorded as `webhook.received`.
 */
function normalised(provider: Provider, body: InboundBody, context: ProviderContext, log: Log): Made | Refusal {
  try {
    const made = atOnce(provider.normalise(body, context));
    if ('unreadable' in made) return malformed('inbound.unreadable', made.unreadable);
    const { deliveryId, idOf, eventType, action, retry, events, source, payload, replyTo, cause, doneBy } = made;
    if (!Array.isArray(events)) throw new TypeError('events is not a list');
    const id = textOf(deliveryId);
    return {
      deliveryId: id,
      eventId: idOf === 'event' ? id : undefined,
      eventType: textOf(eventType) ?? 'unknown',
      action: textOf(action),
      retry: textOf(retry),
      source: textOf(source),
      replyTo: textOf(replyTo),
      cause: textOf(cause),
      doneBy: doneByOf(doneBy),
      events: events.map(eventOf),
      ...(payload !== undefined && { payload: new RawJson(stringifyJson(payload), wroteExactNumbers()) }),
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
      source: undefined,
      events: [event],
    };
  }
}

/** What an event follows from, by the mark that was left in what the sender tells of. What is no mark of ours is nothing. */
function causeOf(mark: string, orgId: string, sealing: Sealing | undefined): Cause | undefined {
  const [keyId = '', sealed = ''] = mark.split('.');
  const text = sealing?.open(
    { keyId, sealed: Buffer.from(sealed, 'base64url').toString('base64') },
    causeBelongsTo(orgId),
  );
  return text === undefined ? undefined : (parseJson(text) as Cause);
}

/** @param given anything: a plug-in gives it. */
function doneByOf(given: unknown): DoneBy | undefined {
  const { actor, issue } = isObject(given) ? given : {};
  return typeof actor === 'string' && typeof issue === 'string' ? { actor, issue } : undefined;
}

const textOf = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined);

/** @throws TypeError for what no provider may return. */
function eventOf(event: NormalisedEvent): NormalisedEvent {
  const { type, subject, timestamp, data } = event;
  if (typeof type !== 'string' || typeof subject !== 'string' || !isObject(data))
    throw new TypeError('an event has no type, subject or data');
  const when = typeof timestamp === 'string' || typeof timestamp === 'number' ? timestamp : undefined;
  return { type, subject, timestamp: when, data };
}

function requestMetadata(
  { provider, context, authentication }: Verified,
  request: InboundRequest,
  retry: string | undefined,
  hashed: Buffer | string,
): RequestMetadata {
  const headers: Record<string, string> = {};
  const proofs = provider.proofHeaders?.(context.config) ?? [];
  for (const name of provider.keepHeaders ?? []) {
    const value = request.headers[name];
    if (typeof value === 'string' && !proofs.includes(name)) headers[name] = headerText(value);
  }
  return {
    headers,
    bodySha256: hash('sha256', hashed, 'hex'),
    authentication,
    sourceIp: request.sourceIp,
    ...(retry === undefined ? {} : { retry }),
  };
}
