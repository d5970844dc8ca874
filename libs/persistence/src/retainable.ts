import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Retained } from '#libs/events/src/types/retention.events.js';

/** A statement with `$1` the organisation, and `$2` a list. */
export type Deletion = readonly [sql: string, ids: readonly unknown[]];

/** What a part of the system has in its tables of events that retention wants to remove. */
export interface Retainable {
  /**
   * Selects `event` (evt_…), `position` and `correlation`, two of them null, of what still needs an event; `$1` are the
   * correlations (uuid[]), `$2` the ids (text[]) and `$3` the positions (bigint[]) of the events in question.
   */
  readonly open?: string;
  /** Deletes the rows that were made of these events. */
  readonly deletions?: (kind: Retained, events: readonly RecordedEvent[]) => readonly Deletion[];
}

/** Work that is due or claimed, and events that a subscriber may be asked to try again. */
export const retainableWork: Retainable = {
  open: `select null::text as event, position, null::uuid as correlation from views.work where position = any($3)
         union all select null, position, null from views.parked_events where position = any($3)`,
};
