import { SliceTable } from '#libs/event-store/src/slice-table.js';
import { followers } from '#libs/events/src/followers.js';

import { eventTypeIdOf, type OwnType, ownType } from './own-type.js';

export type KnownType = Exclude<OwnType, { kind: 'unknown' }>;

/** The event types of each organisation, in memory: an event is checked without asking the database. */
export class OwnTypeTable extends SliceTable<OwnType, 'event_type.saved' | 'event_type.archived'> {
  constructor() {
    super(followers.eventTypes, ownType);
  }

  find(orgId: string, type: string): KnownType | undefined {
    const state = this.get(eventTypeIdOf(orgId, type));
    return state === undefined || state.kind === 'unknown' ? undefined : state;
  }

  /** Of one organisation, by name. */
  list(orgId: string): readonly KnownType[] {
    return [...this.entries()]
      .flatMap(([, state]) => (state.kind !== 'unknown' && state.orgId === orgId ? [state] : []))
      .sort((a, b) => (a.type < b.type ? -1 : 1));
  }
}
