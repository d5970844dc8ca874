import { type EventToAppend, LARGEST_APPEND_BYTES, MAX_APPEND_BYTES } from '#libs/event-store/src/event-store.js';
import { newEvent, RawJson } from '#libs/event-store/src/new-event.js';
import { dataProblems } from '#libs/event-types/src/own-schema.js';
import type { KnownType } from '#libs/event-types/src/own-type.table.js';
import { satisfies } from '#libs/events/src/check.js';
import type { Cause, RequestMetadata } from '#libs/events/src/envelope.js';
import type { PersonalIn } from '#libs/expressions/src/personal/personal-fields.js';
import { parseJson, stringifyJson, wroteExactNumbers } from '#libs/kernel/src/text/exact-json.js';
import type { Uuid } from '#libs/kernel/src/ids.js';
import type { JsonObject } from '#libs/kernel/src/json.js';
import { beginning } from '#libs/kernel/src/text/text.js';
import { readTime } from '#libs/kernel/src/time/times.js';
import type { NormalisedEvent } from '#libs/plugin-sdk/src/define-provider.js';
import { isInboundType } from '#libs/plugin-sdk/src/inbound-types.js';

import { shortened } from './shorten.js';

/** A subject is a name; a very long one would be a text. */
const MAX_SUBJECT = 512;

/** What each event of a delivery says about it. */
export interface DeliveryFacts {
  readonly integrationId: string;
  readonly orgId: string;
  readonly provider: string;
  readonly source: string;
  readonly deliveryId: string;
  readonly sourceIp: string;
  readonly request: RequestMetadata;
  readonly now: Date;
  /** What is personal in an event; absent where nothing is declared. */
  readonly personalIn?: PersonalIn | undefined;
  /** An event type of the organisation's own. */
  readonly ownType: (type: string) => KnownType | undefined;
}

/** One event before it is written. */
export interface InboundDraft {
  readonly id: Uuid;
  /** The sender's own name of it. */
  readonly eventType: string;
  readonly action: string | undefined;
  readonly normalised: NormalisedEvent;
  /** JSON text of the payload, as the sender wrote it. */
  readonly payload: RawJson;
  /** What it follows from, where we ourselves did what the sender tells of. */
  readonly cause?: Cause | undefined;
}

/**
 * What is given up, one after the other, until the events fit: neutral fields that the payload has as well, so that the
 * append is one that every log takes; and where the payload alone leaves no room for that, it may be a larger one.
 */
const WAYS_TO_FIT = [
  [undefined, MAX_APPEND_BYTES],
  ['without-paths', MAX_APPEND_BYTES],
  ['short', MAX_APPEND_BYTES],
  ['without-paths', LARGEST_APPEND_BYTES],
] as const;

/**
 * The events of one delivery as the log takes them; `undefined` if they do not fit into one append.
 * @param isDivisible whether they may be several appends as well: a large one is not needed then.
 */
export function inboundEventsOf(
  facts: DeliveryFacts,
  drafts: readonly InboundDraft[],
  isDivisible: boolean,
): EventToAppend[] | undefined {
  for (const [budget, bytes] of WAYS_TO_FIT) {
    if (isDivisible && bytes > MAX_APPEND_BYTES) continue;
    const events = drafts.map((draft) => inboundEvent(facts, draft, budget));
    if (fits(events, bytes)) return events;
  }
  return undefined;
}

function inboundEvent(
  facts: DeliveryFacts,
  draft: InboundDraft,
  budget: 'without-paths' | 'short' | undefined,
): EventToAppend {
  const { type, subject, timestamp, data, schemaVersion } = acceptable(draft.normalised, facts);
  const context = {
    id: draft.id,
    orgId: facts.orgId,
    actor: `${kindOf(facts.integrationId)}/${facts.integrationId}`,
    now: facts.now,
    source: facts.source,
    subject: `${kindOf(facts.integrationId)}/${facts.integrationId}`,
    request: facts.request,
    ...(draft.cause && { cause: draft.cause }),
  };
  const when = timeOf(timestamp);
  const about = { ...(subject === '' ? {} : { subject: beginning(subject, MAX_SUBJECT) }) };
  const text = dataOf(facts, draft, data, budget);
  const { personalIn, source } = facts;
  const personal = personalIn?.({
    type,
    source,
    subject: about.subject ?? context.subject,
    data: parseJson(text.text),
  });
  return newEvent(
    {
      type,
      ...(schemaVersion !== undefined && { schemaVersion }),
      ...about,
      ...(when === undefined ? {} : { timestamp: when }),
      data: text,
    },
    { ...context, ...(personal && { personal }) },
  );
}

/** The webhooks of agents are received like integrations. */
const kindOf = (id: string): 'agent' | 'integration' => (id.startsWith('agt_') ? 'agent' : 'integration');

/** A type that may not come from outside, or fields that do not satisfy its schema, become `webhook.received`. */
function acceptable(
  event: NormalisedEvent,
  { ownType }: DeliveryFacts,
): NormalisedEvent & { readonly schemaVersion?: number } {
  const { type, data } = event;
  if (isInboundType(type)) {
    if (satisfies(type, data)) return event;
  } else {
    const own = type === 'webhook.received' ? undefined : ownType(type);
    // The schema of an own type tells of the event, not of how it was sent.
    if (own?.kind === 'known' && dataProblems(own.content.schema, without(OF_SENDING, data)).length === 0)
      return { ...event, schemaVersion: own.version };
  }
  return { ...event, type: 'webhook.received', data: satisfies('webhook.received', data) ? data : {} };
}

/** Fields that only the platform sets. */
const OURS: ReadonlySet<string> = new Set(['provider', 'eventType', 'action', 'deliveryId', 'sourceIp', 'payload']);

/**
 * The text of `data`, put together around the payload as the sender wrote it: parsed and written again, it could lose digits
 * and duplicate keys.
 */
function dataOf(
  facts: DeliveryFacts,
  draft: InboundDraft,
  data: JsonObject,
  budget: 'without-paths' | 'short' | undefined,
): RawJson {
  const { eventType, action, payload } = draft;
  const neutral = budget === undefined ? data : shortened(data, budget);
  let text = `{"provider":${stringifyJson(facts.provider)},"eventType":${stringifyJson(eventType)}`;
  if (action !== undefined) text += `,"action":${stringifyJson(action)}`;
  text += `,"deliveryId":${stringifyJson(facts.deliveryId)},"sourceIp":${stringifyJson(facts.sourceIp)}`;
  const fields = stringifyJson(without(OURS, neutral));
  const mayHoldExact = payload.mayHoldExact || wroteExactNumbers();
  // What is not written as an object (a class with a `toJSON` of its own) has no fields.
  if (fields.length > 2 && fields.startsWith('{')) text += `,${fields.slice(1, -1)}`;
  return new RawJson(`${text},"payload":${payload.text}}`, mayHoldExact);
}

const OF_SENDING: ReadonlySet<string> = new Set([...OURS, 'cloudEvent']);

function without(keys: ReadonlySet<string>, data: JsonObject): JsonObject {
  for (const key in data)
    if (keys.has(key)) return Object.fromEntries(Object.entries(data).filter(([name]) => !keys.has(name)));
  return data;
}

/** RFC 3339 UTC. A time before 1970 is a default of the sender's language, not the time of an event. */
function timeOf(timestamp: string | number | undefined): string | undefined {
  const time = timestamp === undefined ? undefined : readTime(timestamp);
  return time && time.getTime() >= 0 ? time.toISOString() : undefined;
}

/** How much longer a text is once it is encrypted: base64, and what stands before it. */
const SEALED_GROWTH = 1.4;

/** As the log counts it. The exact size is only computed where the text is long enough for it to matter. */
function fits(events: readonly EventToAppend[], limit: number): boolean {
  let most = 0;
  // A UTF-16 unit is at most three bytes of UTF-8.
  for (const { type, data, metadata } of events) most += 3 * (data.length + metadata.length) + 2 * type.length;
  const isPersonal = events.some(({ personal }) => personal !== undefined);
  if (most <= limit && !isPersonal) return true;
  let bytes = 0;
  for (const { type, data, metadata } of events)
    bytes += Buffer.byteLength(data) + Buffer.byteLength(metadata) + 2 * type.length;
  return bytes <= (isPersonal ? limit / SEALED_GROWTH : limit);
}
