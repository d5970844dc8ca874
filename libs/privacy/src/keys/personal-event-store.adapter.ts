import {
  type AllPage,
  type AppendResult,
  type EventToAppend,
  EventStore,
  type ExpectedRevision,
  type ReadAllOptions,
  type ReadStreamOptions,
  type RecordedEvent,
  type SubscribeOptions,
  type SubscriptionItem,
} from '#libs/event-store/src/event-store.js';
import { isEventType } from '#libs/events/src/catalogue.js';
import type { EventMetadata } from '#libs/events/src/envelope.js';
import { copiedFields } from '#libs/events/src/personal/copied-fields.js';
import { ERASED, mapAt, type PersonalPart } from '#libs/events/src/personal/field-path.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';
import { messageOf, Transient } from '#libs/kernel/src/errors.js';
import type { JsonObject } from '#libs/kernel/src/json.js';
import { parseAsWritten, stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import { openAll, seal } from './sealed-value.js';
import type { SubjectKeys } from './subject-keys.js';

/** How metadata begin to say that they have keys. The library writes them, without blanks. */
const MARK = '"personal":["';

/** What is personal in events of a type of an organisation's own; `undefined`: nothing. */
export type PersonalInOwnType = (
  orgId: string,
  type: string,
) =>
  | ((event: Pick<EventMetadata, 'source' | 'subject'> & { type: string; data: JsonObject }) => readonly PersonalPart[])
  | undefined;

/**
 * The log, with the personal parts of events encrypted before the append and decrypted for those who read it. What holds
 * none passes through: the cost is the search for a mark.
 */
export class PersonalEventStore extends EventStore {
  /** Set once the types of the organisations are known. */
  inOwnType: PersonalInOwnType | undefined;

  constructor(
    private readonly store: EventStore,
    private readonly keys: SubjectKeys,
  ) {
    super();
  }

  append(stream: string, events: readonly EventToAppend[], expected: ExpectedRevision): Promise<AppendResult> {
    if (!events.some((event) => this.mayHoldPersonal(event))) return this.store.append(stream, events, expected);
    return this.appendSealed(stream, events, expected);
  }

  async readStream(stream: string, options?: ReadStreamOptions): Promise<readonly RecordedEvent[]> {
    return this.opened(await this.store.readStream(stream, options));
  }

  async readAll(options: ReadAllOptions): Promise<AllPage> {
    const page = await this.store.readAll(options);
    const events = await this.opened(page.events);
    return events === page.events ? page : { ...page, events };
  }

  async *subscribe(options: SubscribeOptions): AsyncIterable<SubscriptionItem> {
    for await (const item of this.store.subscribe(options)) {
      if (item.kind !== 'events') yield item;
      else {
        const events = await this.opened(item.events);
        yield events === item.events ? item : { ...item, events };
      }
    }
  }

  head(): Promise<bigint> {
    return this.store.head();
  }
  truncatedBefore(stream: string): Promise<bigint> {
    return this.store.truncatedBefore(stream);
  }
  truncateBefore(stream: string, revision: bigint): Promise<void> {
    return this.store.truncateBefore(stream, revision);
  }
  ping(): Promise<void> {
    return this.store.ping();
  }
  close(): Promise<void> {
    return this.store.close();
  }

  private mayHoldPersonal({ type, metadata, personal }: EventToAppend): boolean {
    return personal !== undefined || metadata.includes(MARK) || (this.inOwnType !== undefined && !isEventType(type));
  }

  private async appendSealed(stream: string, events: readonly EventToAppend[], expected: ExpectedRevision) {
    const sealed = await Promise.all(events.map((event) => this.sealed(event)));
    crashPoint('privacy.after-sealing');
    return this.store.append(stream, sealed, expected);
  }

  /** First what is personal in the event itself, then what it may have taken from its cause. */
  private async sealed(event: EventToAppend): Promise<EventToAppend> {
    const { id, type } = event;
    const metadata = parseAsWritten(event.metadata) as EventMetadata;
    const inherited = metadata.personal ?? [];
    const envelope = { id, type, metadata };
    const inOwnType = isEventType(type) ? undefined : this.inOwnType?.(metadata.orgId, type);
    if (!event.personal && !inOwnType && inherited.length === 0) return event;
    let data = parseAsWritten(event.data) as JsonObject;
    const { source, subject } = metadata;
    const own = [...(event.personal ?? []), ...(inOwnType?.({ type, source, subject, data }) ?? [])];
    if (own.length + inherited.length === 0) return event;
    const names = new Set(inherited);
    for (const { subjects, fields } of own) {
      const keys = await available(this.keys.of(metadata.orgId, subjects));
      const named = keys.map(({ name }) => name);
      for (const name of named) names.add(name);
      const bytes = keys.map(({ key }) => key);
      for (const path of fields)
        data = mapAt(data, path, (value, place) => seal(value, envelope, place, named, bytes)) as JsonObject;
    }
    if (inherited.length > 0) {
      const find = await available(this.keys.load(inherited));
      const keys = inherited.map(find);
      const cover = keys.every((key) => Buffer.isBuffer(key))
        ? (value: unknown, place: readonly string[]) => seal(value, envelope, place, inherited, keys)
        : () => ERASED;
      for (const path of copiedFields(type)) data = mapAt(data, path, cover) as JsonObject;
    }
    return {
      id,
      type,
      data: stringifyJson(data),
      metadata: stringifyJson({ ...metadata, personal: [...names].sort() }),
    };
  }

  /** The events themselves where none has personal parts. */
  private async opened(events: readonly RecordedEvent[]): Promise<readonly RecordedEvent[]> {
    const keysOf = events.map(namesIn);
    const names = new Set(keysOf.flat());
    if (names.size === 0) return events;
    const find = await available(this.keys.load([...names]));
    return events.map((event, index) => {
      const own = keysOf[index]!;
      if (own.length === 0) return event;
      return event.openedBy({
        isErased: own.some((name) => !find(name)),
        open: (envelope, data) => openAll(data, envelope, find) as JsonObject,
      });
    });
  }
}

const NONE: readonly string[] = [];

/** Names of the keys of an event. Most have none: their metadata are not parsed for it. */
function namesIn(event: RecordedEvent): readonly string[] {
  if (!event.rawMetadata.includes(MARK) || !event.isReadable) return NONE;
  return event.metadata.personal ?? NONE;
}

/** Keys are in the database. Without it an event is not stored in clear: the sender tries again. */
const available = <T>(keys: Promise<T>): Promise<T> =>
  keys.catch((error: unknown) => {
    throw new Transient(
      'subject_keys.unavailable',
      `The keys of personal fields cannot be read: ${messageOf(error)}`,
      error,
    );
  });
