import { slice, type Author, ThingCommand } from '#libs/event-store/src/command-handlers.js';
import type { EventDraft } from '#libs/event-store/src/new-event.js';
import { streams } from '#libs/events/src/streams.js';

/** `unknown` until it is created; from then on it stays. */
export type Organisation = { readonly kind: 'unknown' } | { readonly kind: 'active'; readonly name: string };

export const organisation = slice<Organisation>()({
  name: 'organisation',
  stream: streams.organisation,
  initial: { kind: 'unknown' },
  evolve: { 'organisation.created': (_, { name }) => ({ kind: 'active', name }) },
});

/** Creates it unless it exists: safe to ask for at every start of every process, and for a request that is sent again. */
export function establish(
  state: Organisation,
  command: EstablishOrganisation,
): readonly EventDraft<'organisation.created'>[] {
  if (state.kind === 'active') return [];
  return [{ type: 'organisation.created', data: { organisationId: command.id, name: command.name } }];
}

export class EstablishOrganisation extends ThingCommand<Organisation> {
  constructor(
    id: string,
    author: Author,
    readonly name: string,
  ) {
    super(id, author);
  }
}
