import type { EventToAppend, RecordedEvent } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import type { DataOf } from '#libs/events/src/catalogue.js';
import { eventIdOf } from '#libs/events/src/envelope.js';
import { uuid5 } from '#libs/kernel/src/ids.js';

import { erroredDecision, MAX_VERDICT_BYTES } from './record.js';
import type { Verdicts } from './verdicts.js';

/** An event by which no rule asks for anything. */
export interface QuietCase {
  readonly event: RecordedEvent;
  readonly verdicts: Verdicts;
}

/** The verdicts on one event, or a part of them where they are many. */
export interface QuietEntry {
  readonly event: RecordedEvent;
  readonly eventId: string;
  /** Counts the parts of one event. */
  readonly part: number;
  readonly verdicts: Verdicts;
}

/** Most events in one record, and bytes of their verdicts, roughly. */
const MAX_ENTRIES = 500;

export const entriesOf = (cases: readonly QuietCase[]): readonly QuietEntry[] =>
  cases.flatMap(({ event, verdicts }) => {
    const eventId = eventIdOf(event.id);
    return verdicts.parts(MAX_VERDICT_BYTES).map((each, part) => ({ event, eventId, part, verdicts: each }));
  });

/** As many entries as one record takes, at least one, and the rest. */
export function cut(entries: readonly QuietEntry[]): { some: readonly QuietEntry[]; rest: readonly QuietEntry[] } {
  let bytes = 0;
  let end = 0;
  for (; end < entries.length && end < MAX_ENTRIES; end++) {
    bytes += entries[end]!.verdicts.weight + 100;
    if (end > 0 && bytes > MAX_VERDICT_BYTES) break;
  }
  return { some: entries.slice(0, end), rest: entries.slice(end) };
}

/**
 * One record about all of them. It follows from several events, so that it belongs to the story of none of them; a rule
 * that looks at such records must still come to an end.
 */
export function noneMatched(orgId: string, entries: readonly QuietEntry[], now: Date): EventToAppend {
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
  const id = uuid5('rules.decide', ...entries.map(({ eventId, part }) => `${eventId} ${part}`));
  const hop = Math.max(...entries.map(({ event }) => event.metadata.hop)) + 1;
  const cause = { $correlationId: id, hop };
  return newEvent({ type: 'rule.none_matched', data: { asked, events } }, { id, orgId, actor: 'millrace', now, cause });
}
