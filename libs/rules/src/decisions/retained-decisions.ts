import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import { eventUuidOf } from '#libs/events/src/envelope.js';
import type { Retainable } from '#libs/persistence/src/retainable.js';

/** Bursts keep the event that they wait with; rows of decisions go with the records of them. */
export const retainedDecisions: Retainable = {
  open: `select event_id as event, null::bigint as position, null::uuid as correlation from views.rule_bursts
          where event_id = any($2)`,
  deletions: (kind, events) => {
    if (kind !== 'decisions') return [];
    const ids = [...new Set(events.flatMap(decidedIn))];
    return [
      ['delete from views.decisions where org_id = $1 and event_id = any($2::text[])', ids],
      [
        `delete from views.event_verdicts v using views.rule_rolls r
          where r.id = v.roll_id and r.org_id = $1 and v.event_id = any($2::uuid[])`,
        ids.map(eventUuidOf),
      ],
    ];
  },
};

/** Ids of the events that a record of decisions is about. */
function decidedIn(event: RecordedEvent): readonly string[] {
  if (event.is('rule.evaluated')) return [event.data.eventId];
  return event.is('rule.none_matched') ? event.data.events.map(({ eventId }) => eventId) : [];
}
