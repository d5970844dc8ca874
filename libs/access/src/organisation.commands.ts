import { type Author, ThingCommand } from '#libs/event-store/src/command-handlers.js';

import type { Organisation } from './organisation.js';

export class EstablishOrganisation extends ThingCommand<Organisation> {
  constructor(
    id: string,
    author: Author,
    readonly name: string,
  ) {
    super(id, author);
  }
}
