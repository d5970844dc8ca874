import { type Author, ThingCommand } from '#libs/event-store/src/command-handlers.js';

import type { Agent, AgentSettings } from './agent.js';

export class RegisterAgent extends ThingCommand<Agent> {
  constructor(
    id: string,
    author: Author,
    readonly settings: AgentSettings,
    /** Reference of the secret. */
    readonly secret?: string,
  ) {
    super(id, author);
  }
}

export class UpdateAgent extends ThingCommand<Agent> {
  constructor(
    id: string,
    author: Author,
    readonly changes: Partial<AgentSettings>,
    /** Reference of a new secret. */
    readonly secret?: string,
  ) {
    super(id, author);
  }
}

export class RemoveAgent extends ThingCommand<Agent> {}
