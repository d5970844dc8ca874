import { slice, type Author, ThingCommand } from '#libs/event-store/src/command-handlers.js';
import type { EventDraft } from '#libs/event-store/src/new-event.js';
import { DEFAULT_ORG } from '#libs/events/src/envelope.js';
import { streams } from '#libs/events/src/streams.js';
import { Rejected } from '#libs/kernel/src/errors.js';

/**
 * `unknown` until it is created; then `active`. `archived`: nothing new begins in it, until it is restored. It is never
 * deleted: its events stay.
 */
export type Organisation =
  | { readonly kind: 'unknown' }
  | { readonly kind: 'active'; readonly name: string }
  | { readonly kind: 'archived'; readonly name: string };

type Known = Exclude<Organisation, { kind: 'unknown' }>;

export const organisation = slice<Organisation>()({
  name: 'organisation',
  stream: streams.organisation,
  initial: { kind: 'unknown' },
  evolve: {
    'organisation.created': (_, { name }) => ({ kind: 'active', name }),
    'organisation.renamed': (state, { name }) => known(state, (before) => ({ ...before, name })),
    'organisation.archived': (state) => known(state, ({ name }) => ({ kind: 'archived', name })),
    'organisation.restored': (state) => known(state, ({ name }) => ({ kind: 'active', name })),
  },
});

const known = (state: Organisation, change: (state: Known) => Organisation): Organisation =>
  state.kind === 'unknown' ? state : change(state);

type Draft = EventDraft<
  'organisation.created' | 'organisation.renamed' | 'organisation.archived' | 'organisation.restored'
>;

/** Creates it unless it exists: safe to ask for at every start of every process, and for a request that is sent again. */
export function establish(state: Organisation, command: EstablishOrganisation): readonly Draft[] {
  if (state.kind !== 'unknown') return [];
  return [{ type: 'organisation.created', data: { organisationId: command.id, name: command.name } }];
}

export function updateOrganisation(state: Organisation, { id, changes }: UpdateOrganisation): readonly Draft[] {
  if (state.kind === 'unknown') throw organisationNotFound(id);
  const { name = state.name, archived = state.kind === 'archived' } = changes;
  if (archived && id === DEFAULT_ORG)
    throw new Rejected(
      'conflict',
      'organisation.is_first',
      'The first organisation cannot be archived: its admins are the admins of the installation.',
    );
  const drafts: Draft[] = [];
  if (name !== state.name) drafts.push({ type: 'organisation.renamed', data: { organisationId: id, name } });
  if (archived !== (state.kind === 'archived'))
    drafts.push({ type: archived ? 'organisation.archived' : 'organisation.restored', data: { organisationId: id } });
  return drafts;
}

export const organisationNotFound = (id: string): Rejected =>
  new Rejected(
    'not_found',
    'organisation.not_found',
    `There is no organisation ${id}. GET /api/v1/organisations lists those that you can see.`,
  );

export class EstablishOrganisation extends ThingCommand<Organisation> {
  constructor(
    id: string,
    author: Author,
    readonly name: string,
  ) {
    super(id, author);
  }
}

export class UpdateOrganisation extends ThingCommand<Organisation> {
  constructor(
    id: string,
    author: Author,
    readonly changes: { readonly name?: string; readonly archived?: boolean },
  ) {
    super(id, author);
  }
}
