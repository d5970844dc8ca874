import { type Author, ThingCommand } from '#libs/event-store/src/command-handlers.js';

import type { Origin, Workflow } from './workflow.js';

/** The source must have been parsed: a text that does not parse is never saved. */
export class SaveWorkflow extends ThingCommand<Workflow> {
  constructor(
    id: string,
    author: Author,
    readonly name: string,
    readonly source: string,
    readonly origin: Origin,
    readonly file?: string,
  ) {
    super(id, author);
  }
}

export class ActivateWorkflow extends ThingCommand<Workflow> {
  constructor(
    id: string,
    author: Author,
    readonly version: string,
  ) {
    super(id, author);
  }
}

export class ArchiveWorkflow extends ThingCommand<Workflow> {
  constructor(
    id: string,
    author: Author,
    readonly reason: string,
  ) {
    super(id, author);
  }
}
