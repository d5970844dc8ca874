import { eventIdOf } from '#libs/events/src/envelope.js';
import { BoundedMap } from '#libs/kernel/src/bounded-map.js';
import { uuid5 } from '#libs/kernel/src/ids.js';

import { type EventStore, type EventToAppend, type RecordedEvent, WrongRevision } from './event-store.js';
import { type EventDraft, newEvent } from './new-event.js';

/** What there is to record about one event, or a part of it where that is much. */
export interface RangeEntry {
  readonly event: RecordedEvent;
  /** Counts the parts of one event. */
  readonly part: number;
}

/** A kind of record about many events. */
export interface RangeKind<Entry extends RangeEntry> {
  /** Name of the subscriber that writes it. */
  readonly writer: string;
  /** Name of the stream for a range of the log. */
  stream(orgId: string, range: bigint): string;
  draft(entries: readonly Entry[]): EventDraft;
  /** Bytes of the entry in the record, roughly and rather too many. */
  weight(entry: Entry): number;
  /** Ids of the events that a recorded event is about: one for each part. */
  eventIdsIn(record: RecordedEvent): readonly string[];
}

/** What is known of the end of a stream. */
interface StreamEnd {
  readonly next: bigint | 'no-stream';
  /** The last event that is recorded; events come in the order of the log. */
  readonly through: bigint;
  /** How many parts of each event are recorded, where the stream was read again. */
  readonly covered: Map<string, number> | undefined;
}

const NEW: StreamEnd = { next: 'no-stream', through: -1n, covered: undefined };
/** One stream for each 65,536 positions: so many events in PostgreSQL, 64 KiB of the log in EventStoreDB. */
const POSITION_BITS = 16n;
/** Streams whose end is remembered. */
const MAX_KNOWN = 256;
const MAX_TRIES = 5;
/** Most entries of one record, and bytes of them, roughly: well below the limit of an append. */
const MAX_ENTRIES = 500;
export const MAX_RECORD_BYTES = 256 * 1024;

/**
 * Records something about many events in one append, each event once. Which events share a record depends on how the log
 * was read, so that no name can follow from it. Their stream is named after a part of the log instead, and each append
 * expects the revision that this instance knows. When that is wrong, after a crash or because another instance was active,
 * the stream is read, and what it holds is left out.
 */
export class RangeRecords<Entry extends RangeEntry> {
  private readonly known = new BoundedMap<string, StreamEnd>(MAX_KNOWN);

  constructor(
    private readonly store: EventStore,
    private readonly kind: RangeKind<Entry>,
  ) {}

  /** @param entries of one organisation, in the order of the log. */
  async record(orgId: string, entries: readonly Entry[], now: Date): Promise<void> {
    const byStream = new Map<string, Entry[]>();
    for (const entry of entries) {
      const stream = this.kind.stream(orgId, entry.event.position >> POSITION_BITS);
      const some = byStream.get(stream);
      if (some) some.push(entry);
      else byStream.set(stream, [entry]);
    }
    for (const [stream, some] of byStream) await this.append(stream, orgId, some, now);
  }

  private async append(stream: string, orgId: string, entries: readonly Entry[], now: Date): Promise<void> {
    let left = entries;
    for (let tries = 1; ; tries++) {
      const at = await this.endOf(stream, left[0]!.event.position);
      left = left.filter(({ event, part }) => part >= (at.covered?.get(eventIdOf(event.id)) ?? 0));
      if (left.length === 0) return;
      const { some, rest } = this.cut(left);
      try {
        const { revision } = await this.store.append(stream, [this.recordOf(orgId, some, now)], at.next);
        for (const { event, part } of some) at.covered?.set(eventIdOf(event.id), part + 1);
        const last = some.at(-1)!.event.position;
        this.remember(stream, { ...at, next: revision, through: last > at.through ? last : at.through });
        if (rest.length === 0) return;
        left = rest;
        tries = 0;
      } catch (error) {
        this.known.delete(stream);
        if (!(error instanceof WrongRevision) || tries >= MAX_TRIES) throw error;
        this.remember(stream, await this.read(stream));
      }
    }
  }

  /** As many entries as one record takes, at least one, and the rest. What a rule or workflow caused stays in its story. */
  private cut(entries: readonly Entry[]): { some: readonly Entry[]; rest: readonly Entry[] } {
    let bytes = 0;
    let end = 0;
    for (; end < entries.length && end < MAX_ENTRIES; end++) {
      bytes += this.kind.weight(entries[end]!) + 100;
      if (end > 0 && (bytes > MAX_RECORD_BYTES || storyOf(entries[end]!) !== storyOf(entries[0]!))) break;
    }
    return { some: entries.slice(0, end), rest: entries.slice(end) };
  }

  /**
   * One record about all of them. Where it follows from several events from outside it belongs to the story of none of them;
   * who looks at such records must still come to an end.
   */
  private recordOf(orgId: string, entries: readonly Entry[], now: Date): EventToAppend {
    const id = uuid5(this.kind.writer, ...entries.map(({ event, part }) => `${eventIdOf(event.id)} ${part}`));
    const hop = Math.max(...entries.map(({ event }) => event.metadata.hop)) + 1;
    const { causedBy: path, $correlationId, personal } = entries[0]!.event.metadata;
    const story = path ? { $correlationId, causedBy: path } : { $correlationId: id };
    const cause = { ...story, hop, ...(personal && { personal }) };
    return newEvent(this.kind.draft(entries), { id, orgId, actor: 'millrace', now, cause });
  }

  /** An event that was postponed comes after later ones: then only the stream can tell. */
  private async endOf(stream: string, position: bigint): Promise<StreamEnd> {
    const at = this.known.get(stream) ?? NEW;
    if (at.covered || position > at.through) return at;
    const read = await this.read(stream);
    this.remember(stream, read);
    return read;
  }

  private async read(stream: string): Promise<StreamEnd> {
    const covered = new Map<string, number>();
    let next: bigint | 'no-stream' = 'no-stream';
    for (;;) {
      const from: bigint = next === 'no-stream' ? 0n : next + 1n;
      const events = await this.store.readStream(stream, { from, limit: 200 });
      if (events.length === 0) return { next, through: -1n, covered };
      for (const event of events) {
        next = event.revision;
        for (const eventId of this.kind.eventIdsIn(event)) covered.set(eventId, (covered.get(eventId) ?? 0) + 1);
      }
    }
  }

  private remember(stream: string, end: StreamEnd): void {
    this.known.delete(stream);
    this.known.set(stream, end);
  }
}

/** Nothing for what came from outside. Events about different people share no record: each person can be erased alone. */
const storyOf = ({ event }: RangeEntry): string => {
  const { causedBy: path, $correlationId, personal } = event.metadata;
  const story = path ? `${$correlationId} ${path.join()}` : '';
  return personal ? `${story} ${personal.join()}` : story;
};
