import { type Author, ThingCommand } from '#libs/event-store/src/command-handlers.js';

import type { RuleDefinition } from './definition.js';
import type { Rule } from './rule.js';

export class CreateRule extends ThingCommand<Rule> {
  constructor(
    id: string,
    author: Author,
    readonly definition: RuleDefinition,
    readonly enabled: boolean,
  ) {
    super(id, author);
  }
}

export class UpdateRule extends ThingCommand<Rule> {
  constructor(
    id: string,
    author: Author,
    readonly definition: RuleDefinition,
    /** Absent: as it is. */
    readonly enabled?: boolean,
    expectedRevision?: bigint,
  ) {
    super(id, author, expectedRevision);
  }
}

export class EnableRule extends ThingCommand<Rule> {}

export class DisableRule extends ThingCommand<Rule> {}

export class ArchiveRule extends ThingCommand<Rule> {}
