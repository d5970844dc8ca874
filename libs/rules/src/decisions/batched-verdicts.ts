import type { EventStore, RecordedEvent } from '#libs/event-store/src/event-store.js';
import {
  MAX_RECORD_BYTES,
  type RangeEntry,
  type RangeKind,
  RangeRecords,
} from '#libs/event-store/src/range-records.js';
import type { DataOf } from '#libs/events/src/catalogue.js';
import { eventIdOf } from '#libs/events/src/envelope.js';
import { followers } from '#libs/events/src/followers.js';
import { streams } from '#libs/events/src/streams.js';

import type { EventVerdicts } from '../engine/event-verdicts.js';
import { erroredDecision } from './decision-events.js';

/** An event that no rule matched, and the verdicts on it. */
export interface UnmatchedEvent {
  readonly event: RecordedEvent;
  readonly verdicts: EventVerdicts;
}

/** The verdicts on one event, or a part of them where they are many. */
type UnmatchedPart = RangeEntry & UnmatchedEvent;

/** Records the verdicts on events that no rule matched: many events in one record, since most events are such events. */
export class BatchedVerdicts {
  private readonly records: RangeRecords<UnmatchedPart>;

  constructor(store: EventStore) {
    this.records = new RangeRecords(store, noneMatched);
  }

  /** @param unmatched of one organisation, in the order of the log. */
  record(orgId: string, unmatched: readonly UnmatchedEvent[], now: Date): Promise<void> {
    const parts = unmatched.flatMap(({ event, verdicts }) =>
      verdicts.parts(MAX_RECORD_BYTES).map((each, part) => ({ event, part, verdicts: each })),
    );
    return this.records.record(orgId, parts, now);
  }
}

const noneMatched: RangeKind<UnmatchedPart> = {
  writer: followers.decideRules,
  stream: streams.verdicts,
  weight: ({ verdicts }) => verdicts.weight,
  eventIdsIn: (record) => (record.is('rule.none_matched') ? record.data.events.map(({ eventId }) => eventId) : []),

  draft(entries) {
    const asked: string[][] = [];
    const places = new Map<string, number>();
    const events = entries.map(({ event, verdicts }): DataOf<'rule.none_matched'>['events'][number] => {
      const names = verdicts.sets.map(({ name }) => name);
      const key = names.join();
      let place = places.get(key);
      if (place === undefined) places.set(key, (place = asked.push(names) - 1));
      const errors = verdicts.decided.flatMap(({ rule, verdict }) =>
        verdict.outcome === 'errored' ? [erroredDecision(rule, verdict.error)] : [],
      );
      return {
        eventId: eventIdOf(event.id),
        eventType: event.type,
        asked: place,
        failed: [...verdicts.failed],
        ...(errors.length > 0 && { decisions: errors }),
      };
    });
    return { type: 'rule.none_matched', data: { asked, events } };
  },
};
