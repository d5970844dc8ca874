import { appendOnce } from '#libs/event-store/src/append-once.js';
import type { EventStore, RecordedEvent } from '#libs/event-store/src/event-store.js';
import { type RangeEntry, type RangeKind, RangeRecords } from '#libs/event-store/src/range-records.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { causedBy, ENGINE, eventIdOf } from '#libs/events/src/envelope.js';
import { followers } from '#libs/events/src/followers.js';
import type { TriggerDecision } from '#libs/events/src/shapes/decision-shape.js';
import { streams } from '#libs/events/src/streams.js';
import { VERDICT_TYPES } from '#libs/events/src/verdicts.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';
import { uuid5 } from '#libs/kernel/src/ids.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';

export interface DecidedEvent {
  readonly event: RecordedEvent;
  readonly decisions: readonly TriggerDecision[];
}
type DecidedPart = RangeEntry & DecidedEvent;

/** Most decisions of one event in one record. */
const MAX_DECISIONS = 100;

/** Records the decisions of triggers that started no run: those on many events in one append. */
export class TriggerRecords {
  private readonly records: RangeRecords<DecidedPart>;

  constructor(store: EventStore) {
    this.records = new RangeRecords(store, decided);
  }

  /** @param given in the order of the log. Events that tell about verdicts leave none: each record would need another. */
  async record(given: readonly DecidedEvent[], now: Date): Promise<void> {
    const byOrg = new Map<string, DecidedPart[]>();
    for (const { event, decisions } of given) {
      if (decisions.length === 0 || event.is(...VERDICT_TYPES)) continue;
      const { orgId } = event.metadata;
      const parts = byOrg.get(orgId) ?? [];
      for (let part = 0; part * MAX_DECISIONS < decisions.length; part++)
        parts.push({ event, part, decisions: decisions.slice(part * MAX_DECISIONS, (part + 1) * MAX_DECISIONS) });
      byOrg.set(orgId, parts);
    }
    if (byOrg.size === 0) return;
    crashPoint('workflows.before-decisions');
    for (const [orgId, parts] of byOrg) await this.records.record(orgId, parts, now);
    crashPoint('workflows.after-decisions');
  }
}

/** Decisions on the events of a burst or batch, once it is over. They take the place of those recorded before. */
export async function recordAfterGroup(
  store: EventStore,
  last: RecordedEvent,
  workflowId: string,
  given: readonly DecidedEvent[],
  now: Date,
): Promise<void> {
  if (given.length === 0) return;
  const eventId = eventIdOf(last.id);
  const id = uuid5(followers.startRuns, 'after-group', workflowId, eventId);
  const draft = {
    type: 'trigger.evaluated' as const,
    data: { events: given.map(shownEvent), afterGroup: true as const },
  };
  const context = { id, orgId: last.metadata.orgId, actor: ENGINE, now, cause: causedBy(last) };
  await appendOnce(store, streams.afterGroup(workflowId, eventId), [newEvent(draft, context)]);
}

const shownEvent = ({ event, decisions }: DecidedEvent) => ({
  eventId: eventIdOf(event.id),
  eventType: event.type,
  decisions: [...decisions],
});

const decided: RangeKind<DecidedPart> = {
  writer: followers.startRuns,
  stream: streams.triggers,
  weight: ({ decisions }) => Buffer.byteLength(stringifyJson(decisions)),
  eventIdsIn: (record) => (record.is('trigger.evaluated') ? record.data.events.map(({ eventId }) => eventId) : []),
  draft: (entries) => ({
    type: 'trigger.evaluated',
    data: {
      events: entries.map(shownEvent),
    },
  }),
};
