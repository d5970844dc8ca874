import {
  type EventStore,
  WrongRevision,
  type EventToAppend,
  type RecordedEvent,
} from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import type { DataOf } from '#libs/events/src/catalogue.js';
import { eventIdOf } from '#libs/events/src/envelope.js';
import { followers } from '#libs/events/src/followers.js';
import { streams } from '#libs/events/src/streams.js';
import { BoundedMap } from '#libs/kernel/src/bounded-map.js';
import { uuid5 } from '#libs/kernel/src/ids.js';

import type { EventVerdicts } from '../engine/event-verdicts.js';
import { erroredDecision, MAX_VERDICT_BYTES } from './decision-events.js';

/** What is known of the end of a stream. */
interface StreamEnd {
  readonly next: bigint | 'no-stream';
  /** The last event whose verdicts are recorded; events come in the order of the log. */
  readonly through: bigint;
  /** How many parts of each event's verdicts are recorded, where the stream was read again. */
  readonly covered: Map<string, number> | undefined;
}

const NEW: StreamEnd = { next: 'no-stream', through: -1n, covered: undefined };
/** One stream for each 65,536 positions: so many events in PostgreSQL, 64 KiB of the log in EventStoreDB. */
const POSITION_BITS = 16n;
/** Streams whose end is remembered. */
const MAX_KNOWN = 256;
const MAX_TRIES = 5;

/**
 * Records the verdicts on events that no rule matched: many events in one record, since most events are such events. Which
 * events share a record depends on how the log was read, so that no name can follow from it. Their stream is named after a
 * part of the log instead, and each append expects the revision that this instance knows. When that is wrong, after a crash
 * or because another instance was active, the stream is read, and what it holds is left out.
 */
export class BatchedVerdicts {
  private readonly known = new BoundedMap<string, StreamEnd>(MAX_KNOWN);

  constructor(private readonly store: EventStore) {}

  /** @param unmatched of one organisation, in the order of the log. */
  async record(orgId: string, unmatched: readonly UnmatchedEvent[], now: Date): Promise<void> {
    const byStream = new Map<string, UnmatchedPart[]>();
    for (const entry of partsOf(unmatched)) {
      const stream = streams.verdicts(orgId, entry.event.position >> POSITION_BITS);
      const entries = byStream.get(stream);
      if (entries) entries.push(entry);
      else byStream.set(stream, [entry]);
    }
    for (const [stream, entries] of byStream) await this.append(stream, orgId, entries, now);
  }

  private async append(stream: string, orgId: string, entries: readonly UnmatchedPart[], now: Date): Promise<void> {
    let left = entries;
    for (let tries = 1; ; tries++) {
      const at = await this.endOf(stream, left[0]!.event.position);
      left = left.filter(({ eventId, part }) => part >= (at.covered?.get(eventId) ?? 0));
      if (left.length === 0) return;
      const { some, rest } = cut(left);
      try {
        const { revision } = await this.store.append(stream, [noneMatched(orgId, some, now)], at.next);
        for (const { eventId, part } of some) at.covered?.set(eventId, part + 1);
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
        if (!event.is('rule.none_matched')) continue;
        for (const { eventId } of event.data.events) covered.set(eventId, (covered.get(eventId) ?? 0) + 1);
      }
    }
  }

  private remember(stream: string, end: StreamEnd): void {
    this.known.delete(stream);
    this.known.set(stream, end);
  }
}

/** An event that no rule matched, and the verdicts on it. */
export interface UnmatchedEvent {
  readonly event: RecordedEvent;
  readonly verdicts: EventVerdicts;
}

/** The verdicts on one event, or a part of them where they are many. */
export interface UnmatchedPart {
  readonly event: RecordedEvent;
  readonly eventId: string;
  /** Counts the parts of one event. */
  readonly part: number;
  readonly verdicts: EventVerdicts;
}

/** Most events in one record, and bytes of their verdicts, roughly. */
const MAX_PARTS = 500;

export const partsOf = (unmatched: readonly UnmatchedEvent[]): readonly UnmatchedPart[] =>
  unmatched.flatMap(({ event, verdicts }) => {
    const eventId = eventIdOf(event.id);
    return verdicts.parts(MAX_VERDICT_BYTES).map((each, part) => ({ event, eventId, part, verdicts: each }));
  });

/** As many entries as one record takes, at least one, and the rest. What a rule or workflow caused stays in its story. */
export function cut(entries: readonly UnmatchedPart[]): {
  some: readonly UnmatchedPart[];
  rest: readonly UnmatchedPart[];
} {
  let bytes = 0;
  let end = 0;
  for (; end < entries.length && end < MAX_PARTS; end++) {
    bytes += entries[end]!.verdicts.weight + 100;
    if (end > 0 && (bytes > MAX_VERDICT_BYTES || storyOf(entries[end]!) !== storyOf(entries[0]!))) break;
  }
  return { some: entries.slice(0, end), rest: entries.slice(end) };
}

/** Nothing for what came from outside. */
const storyOf = ({ event }: UnmatchedPart): string => {
  const { causedBy: path, $correlationId } = event.metadata;
  return path ? `${$correlationId} ${path.join()}` : '';
};

/**
 * One record about all of them. Where it follows from several events from outside it belongs to the story of none of them;
 * a rule that looks at such records must still come to an end.
 */
export function noneMatched(orgId: string, entries: readonly UnmatchedPart[], now: Date): EventToAppend {
  const asked: string[][] = [];
  const places = new Map<string, number>();
  const events = entries.map(({ event, eventId, verdicts }): DataOf<'rule.none_matched'>['events'][number] => {
    const names = verdicts.sets.map(({ name }) => name);
    const key = names.join();
    let place = places.get(key);
    if (place === undefined) places.set(key, (place = asked.push(names) - 1));
    const errors = verdicts.decided.flatMap(({ rule, verdict }) =>
      verdict.outcome === 'errored' ? [erroredDecision(rule, verdict.error)] : [],
    );
    return {
      eventId,
      eventType: event.type,
      asked: place,
      failed: [...verdicts.failed],
      ...(errors.length > 0 && { decisions: errors }),
    };
  });
  const id = uuid5(followers.decideRules, ...entries.map(({ eventId, part }) => `${eventId} ${part}`));
  const hop = Math.max(...entries.map(({ event }) => event.metadata.hop)) + 1;
  const { causedBy: path, $correlationId } = entries[0]!.event.metadata;
  const cause = { $correlationId: path ? $correlationId : id, hop, ...(path && { causedBy: path }) };
  return newEvent({ type: 'rule.none_matched', data: { asked, events } }, { id, orgId, actor: 'millrace', now, cause });
}
