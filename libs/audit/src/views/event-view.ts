import { type Author, type Decide, slice, ThingCommand } from '#libs/event-store/src/command-handlers.js';
import { streams } from '#libs/events/src/streams.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { derivedId } from '#libs/kernel/src/ids.js';
import { canonicalJson } from '#libs/kernel/src/json.js';

export type ViewFilter = Readonly<Record<string, string>>;

/** A saved search of the log: `none` until it is saved and after it was removed. */
export type EventView =
  | { readonly kind: 'none' }
  | {
      readonly kind: 'saved';
      readonly orgId: string;
      readonly name: string;
      readonly filter: ViewFilter;
      readonly createdBy: string;
      readonly updatedAt: string;
    };

export const eventView = slice<EventView>()({
  name: 'eventView',
  stream: streams.eventView,
  initial: { kind: 'none' },
  evolve: {
    'event_view.saved': (state, { name, filter }, { metadata: { orgId, actor, timestamp } }) => ({
      kind: 'saved',
      orgId,
      name,
      filter,
      createdBy: state.kind === 'saved' ? state.createdBy : actor,
      updatedAt: timestamp,
    }),
    'event_view.removed': () => ({ kind: 'none' }),
  },
  hasEnded: ({ kind }) => kind === 'none',
});

export const eventViewIdOf = (orgId: string, name: string): string => derivedId('eview', 'event-view', orgId, name);

export const eventViewNotFound = (name: string): Rejected =>
  new Rejected(
    'not_found',
    'event_view.not_found',
    `There is no saved view ${name}. GET /api/v1/event-views lists them.`,
  );

type Decision<C> = Decide<EventView, 'event_view.saved' | 'event_view.removed', C>;

/** The same filter again changes nothing. */
export const saveEventView: Decision<SaveEventView> = (state, { id, name, filter, isNew }) => {
  const isSame = state.kind === 'saved' && canonicalJson(state.filter) === canonicalJson(filter);
  if (isNew && state.kind === 'saved' && !isSame)
    throw new Rejected(
      'conflict',
      'event_view.exists',
      `There is already a saved view ${name}. Change it: PUT /api/v1/event-views/${name}.`,
      { problems: [{ pointer: '/name', detail: 'Must be a name that no saved view has.' }] },
    );
  if (!isNew && state.kind === 'none') throw eventViewNotFound(name);
  return isSame ? [] : [{ type: 'event_view.saved', data: { eventViewId: id, name, filter } }];
};

export const removeEventView: Decision<RemoveEventView> = (state, { id, name }) => {
  if (state.kind === 'none') throw eventViewNotFound(name);
  return [{ type: 'event_view.removed', data: { eventViewId: id, name } }];
};

export class SaveEventView extends ThingCommand<EventView> {
  constructor(
    author: Author,
    readonly name: string,
    readonly filter: ViewFilter,
    /** Whether there must be none of the name. */
    readonly isNew: boolean,
  ) {
    super(eventViewIdOf(author.orgId, name), author);
  }
}

export class RemoveEventView extends ThingCommand<EventView> {
  constructor(
    author: Author,
    readonly name: string,
  ) {
    super(eventViewIdOf(author.orgId, name), author);
  }
}
