import { isUtf8 } from 'node:buffer';

import { catalogue, type DataOf, type EventType, isEventType, shownPart } from '#libs/events/src/catalogue.js';
import { eventIdOf, type EventMetadata, isEventMetadata, type PlatformEvent } from '#libs/events/src/envelope.js';
import { upcast } from '#libs/events/src/upcasters.js';
import type { PersonalPart } from '#libs/events/src/personal/field-path.js';
import { parseAsWritten, stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import type { Uuid } from '#libs/kernel/src/ids.js';
import type { JsonObject } from '#libs/kernel/src/json.js';

import type { Opener } from './opener.js';

/**
 * THE LOG's port. Same semantics on every adapter; `contract/` proves it.
 *
 * - The first revision of a stream is 0; an unknown stream reads as empty. Revisions and positions are `bigint`.
 *   Positions increase, are sparse and opaque: compare them, never add one.
 * - Reading is inclusive of `from`, subscribing exclusive.
 * - An append is all or nothing, to one stream. If its expectation is behind the stream but the events that follow the
 *   expectation have exactly the same ids, it succeeds with the original revision and position. So an append whose
 *   outcome is unknown is retried with the same ids and the same expectation.
 */
export abstract class EventStore {
  /**
   * Appends atomically and durably: when the promise resolves, the events survive a power cut.
   * @throws WrongRevision if the stream is not where `expected` says.
   * @throws Rejected `log.append_too_large` beyond {@link LARGEST_APPEND_BYTES}, before anything is sent; EventStoreDB also
   * refuses what is beyond its own limit.
   * @throws Transient `log.unavailable`: the outcome is unknown; retry with the same ids and expectation.
   */
  abstract append(stream: string, events: readonly EventToAppend[], expected: ExpectedRevision): Promise<AppendResult>;

  /** Events of one stream, at most `limit` (default 1000); empty if there is none. */
  abstract readStream(stream: string, options?: ReadStreamOptions): Promise<readonly RecordedEvent[]>;

  /** A page of the log over all streams, in the one total order. */
  abstract readAll(options: ReadAllOptions): Promise<AllPage>;

  /**
   * Catch-up, then live, without end; ends when `signal` aborts. Pull-based: what is not asked for is not read ahead
   * beyond a bounded buffer. Never gives up on a lost connection: it resubscribes from its own position with back-off.
   */
  abstract subscribe(options: SubscribeOptions): AsyncIterable<SubscriptionItem>;

  /** The position of the newest event; 0n for an empty log. */
  abstract head(): Promise<bigint>;

  /** Retention: events before `revision` are no longer read, by `readStream` or by `readAll`. */
  abstract truncateBefore(stream: string, revision: bigint): Promise<void>;

  /** The revision before which retention hides the events of a stream; 0n if it hides none. */
  abstract truncatedBefore(stream: string): Promise<bigint>;

  /** Resolves when the log answers; throws Transient `log.unavailable` if it does not. */
  abstract ping(): Promise<void>;

  abstract close(): Promise<void>;
}

/** EventStoreDB's default limit of one append: what every log takes. Stay within it wherever there is a choice. */
export const MAX_APPEND_BYTES = 1024 * 1024;

/**
 * The port's own limit, for an inbound body of 1 MiB and what is added to it. EventStoreDB takes more than
 * {@link MAX_APPEND_BYTES} only with a larger `MaxAppendSize`.
 */
export const LARGEST_APPEND_BYTES = 4 * MAX_APPEND_BYTES;

/** `any` exists for tests only: an append without expectation is not idempotent. */
export type ExpectedRevision = bigint | 'no-stream' | 'stream-exists' | 'any';

/** Already serialised, so that what JSON cannot hold fails at the caller. `data` keeps its exact text in the log. */
export interface EventToAppend {
  readonly id: Uuid;
  readonly type: string;
  /** JSON text of an object. */
  readonly data: string;
  /** JSON text of {@link EventMetadata}. */
  readonly metadata: string;
  /** What is personal in `data`. Not stored: these parts are encrypted before they reach an adapter. */
  readonly personal?: readonly PersonalPart[];
}

/** Of the last event appended. */
export interface AppendResult {
  readonly revision: bigint;
  readonly position: bigint;
  /** True if the events were there already: an earlier try had succeeded. */
  readonly repeated: boolean;
}

export interface ReadStreamOptions {
  readonly from?: bigint;
  readonly direction?: 'forwards' | 'backwards';
  readonly limit?: number;
}

/** Exact event types, and prefixes of stream names; both given means both must hold. Empty lists match nothing. */
export interface EventFilter {
  readonly types?: readonly string[];
  readonly streamPrefixes?: readonly string[];
}

export interface ReadAllOptions {
  /** Inclusive; default the start (forwards) or the end (backwards). */
  readonly from?: bigint;
  /** Exclusive, and in place of `from`: the `position` of the page before. */
  readonly after?: bigint;
  readonly direction?: 'forwards' | 'backwards';
  readonly filter?: EventFilter;
  readonly limit: number;
}

/** A page may hold fewer events than asked for, or none, before the end is reached: go on until `end`. */
export interface AllPage {
  readonly events: readonly RecordedEvent[];
  /** How far the log was looked through, also where nothing matched; the next page is the one `after` it. */
  readonly position: bigint;
  /** Whether the end of the log (backwards: its start) was reached. */
  readonly end: boolean;
}

export interface SubscribeOptions {
  /** Exclusive. `'start'`, `'end'` (only what comes from now on) or a position. */
  readonly from: bigint | 'start' | 'end';
  readonly filter?: EventFilter;
  /** Most events in one batch (default 500). */
  readonly batchSize?: number;
  readonly signal: AbortSignal;
}

export type SubscriptionItem =
  /** `position` is that of the last event of the batch, or further if the rest was looked through and did not match. */
  | {
      readonly kind: 'events';
      readonly events: readonly RecordedEvent[];
      readonly position: bigint;
      /** While it is behind: whether what was read ahead holds an event. `false` says nothing. */
      readonly isKnown?: (event: Uuid) => boolean;
    }
  /** Nothing matched up to here. */
  | { readonly kind: 'checkpoint'; readonly position: bigint }
  /** Everything up to `position` has been delivered; what follows is live. Given again after each time it fell behind. */
  | { readonly kind: 'caught-up'; readonly position: bigint }
  /** The connection is lost; the subscription goes on trying. */
  | { readonly kind: 'disconnected'; readonly reason: string };

/** The stream is not at the revision that was expected. `actual` is `undefined` if it does not exist. */
export class WrongRevision extends Error {
  override readonly name = 'WrongRevision';
  constructor(
    readonly stream: string,
    readonly expected: ExpectedRevision,
    readonly actual: bigint | undefined,
  ) {
    super(`stream ${stream} is at revision ${actual ?? '(no stream)'}, expected ${expected}`);
  }
}

/**
 * An event as the log holds it. `data` and `metadata` are parsed when first looked at: most subscribers decide by the
 * type alone, and one record is shared by all of them.
 */
export class RecordedEvent<T extends string = string> {
  private parsedData: JsonObject | undefined;
  private parsedMetadata: EventMetadata | undefined;

  constructor(
    readonly stream: string,
    readonly revision: bigint,
    readonly position: bigint,
    readonly id: Uuid,
    readonly type: T,
    readonly created: Date,
    /** Exactly what is stored: what hashes are made of. */
    readonly rawData: string | Buffer,
    readonly rawMetadata: string | Buffer,
    private readonly opener?: Opener,
  ) {}

  /** The exact text that was appended; personal parts in clear. */
  get dataJson(): string {
    if (this.isOpened) return stringifyJson(this.data);
    return typeof this.rawData === 'string' ? this.rawData : this.rawData.toString('utf8');
  }

  get metadataJson(): string {
    return typeof this.rawMetadata === 'string' ? this.rawMetadata : this.rawMetadata.toString('utf8');
  }

  /** @throws Unreadable */
  get data(): T extends EventType ? DataOf<T> : JsonObject {
    if (this.parsedData === undefined) {
      const { schemaVersion, exactNumbers } = this.metadata;
      // eslint-disable-next-line no-restricted-syntax -- no number is to be kept, as the metadata say
      const stored = this.objectIn('data', this.rawData, exactNumbers ? parseAsWritten : JSON.parse);
      const data = this.opener?.open(this, stored) ?? stored;
      this.parsedData = upcast(this.type, schemaVersion, data);
    }
    return this.parsedData as T extends EventType ? DataOf<T> : JsonObject;
  }

  /** @throws Unreadable */
  get metadata(): EventMetadata {
    if (this.parsedMetadata === undefined) {
      // eslint-disable-next-line no-restricted-syntax -- written here, and read for every event
      const metadata = this.objectIn('metadata', this.rawMetadata, JSON.parse);
      if (!isEventMetadata(metadata))
        throw new Unreadable(this, 'its metadata is not that of an event of this program');
      this.parsedMetadata = metadata;
    }
    return this.parsedMetadata;
  }

  /** Whether `data` and `metadata` are there. Only this program should write to its streams, but others can. */
  get isReadable(): boolean {
    return isThere(() => this.data);
  }

  /** Whether `metadata` is there: costs less than {@link isReadable}. */
  get hasMetadata(): boolean {
    return isThere(() => this.metadata);
  }

  /** The same record without what others have parsed of it, which takes several times its {@link bytes}: for buffers. */
  unparsed(): RecordedEvent<T> {
    return this.copy(undefined);
  }

  /** The same record with its personal parts in clear. */
  openedBy(opener: Opener): RecordedEvent<T> {
    return this.copy(opener);
  }

  /** As it is stored, personal parts encrypted: for what is kept. */
  get sealed(): RecordedEvent<T> {
    return this.opener === undefined ? this : this.copy(undefined);
  }

  /** Whether `data` differs from what is stored. */
  get isOpened(): boolean {
    return this.opener !== undefined;
  }

  /** Whether personal parts of the event cannot be read any more, since a person was erased. */
  get isErased(): boolean {
    return this.opener?.isErased ?? false;
  }

  private copy(opener: Opener | undefined): RecordedEvent<T> {
    const { stream, revision, position, id, type, created, rawData, rawMetadata } = this;
    return new RecordedEvent(stream, revision, position, id, type, created, rawData, rawMetadata, opener);
  }

  /** Size in memory, roughly: what bounded buffers count. */
  get bytes(): number {
    return this.rawData.length + this.rawMetadata.length + 200;
  }

  /** Narrows the type, and with it `data`. */
  is<K extends EventType>(...types: readonly K[]): this is RecordedEvent<K> {
    return (types as readonly string[]).includes(this.type);
  }

  private objectIn(what: string, raw: string | Buffer, parse: (text: string) => unknown): JsonObject {
    if (raw.length === 0) throw new Unreadable(this, `its ${what} is empty`);
    if (typeof raw !== 'string' && !isUtf8(raw)) throw new Unreadable(this, `its ${what} is binary`);
    let value: unknown;
    try {
      value = parse(raw.toString());
    } catch {
      throw new Unreadable(this, `its ${what} is not JSON`);
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw new Unreadable(this, `its ${what} is not a JSON object`);
    return value as JsonObject;
  }
}

function isThere(read: () => unknown): boolean {
  try {
    read();
    return true;
  } catch (error) {
    if (error instanceof Unreadable) return false;
    throw error;
  }
}

/** Somebody else wrote to one of our streams. Trying again makes no difference. */
export class Unreadable extends Error {
  override readonly name = 'Unreadable';
  constructor({ id, stream, revision }: RecordedEvent, why: string) {
    super(`event ${id} cannot be read (stream ${stream}, revision ${revision}): ${why}`);
  }
}

/** The event as programs outside see it. */
export function platformEvent(event: RecordedEvent): PlatformEvent {
  const { source, subject, orgId, timestamp } = event.metadata;
  return { id: eventIdOf(event.id), type: event.type, source, subject, orgId, timestamp, data: shownData(event) };
}

function shownData(event: RecordedEvent): JsonObject {
  return shownPart(event.type)?.(event.data) ?? event.data;
}

/** The data as programs outside see it: the exact text, unless an older version wrote it or not all of it is shown. */
export function shownDataJson(event: RecordedEvent): string {
  const { type } = event;
  const current = isEventType(type) ? ((catalogue[type] as { version?: number }).version ?? 1) : undefined;
  const isOld = current !== undefined && event.metadata.schemaVersion < current;
  return isOld || shownPart(type) !== undefined ? stringifyJson(shownData(event)) : event.dataJson;
}
