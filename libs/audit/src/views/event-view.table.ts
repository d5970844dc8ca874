import { SliceTable } from '#libs/event-store/src/slice-table.js';
import { missingFrom } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';

import type { Parameters } from '../event-parameters.js';
import { type EventView, eventView, eventViewIdOf, eventViewNotFound } from './event-view.js';

export type SavedView = Extract<EventView, { kind: 'saved' }>;

/** The saved views of each organisation, in memory. */
export class EventViewTable extends SliceTable<EventView, 'event_view.saved' | 'event_view.removed'> {
  constructor() {
    super(followers.eventViews, eventView);
  }

  /** @throws Rejected `event_view.not_found` */
  find(orgId: string, name: string): SavedView {
    const state = this.get(eventViewIdOf(orgId, name));
    if (state?.kind !== 'saved') throw missingFrom(this, eventViewNotFound(name));
    return state;
  }

  /** Of one organisation, by name. */
  list(orgId: string): readonly SavedView[] {
    return [...this.entries()]
      .flatMap(([, state]) => (state.kind === 'saved' && state.orgId === orgId ? [state] : []))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /**
   * The parameters of a search with those of the view that it names. What the search says itself takes precedence.
   * @throws Rejected `event_view.not_found`
   */
  resolve(orgId: string, { view, ...given }: Parameters): Parameters {
    if (typeof view !== 'string' || view === '') return given;
    return { ...this.find(orgId, view).filter, ...given };
  }
}
