import type { Author } from '#libs/event-store/src/command-handlers.js';
import { ThingCommand } from '#libs/event-store/src/command-handlers.js';

import type { Integration, IntegrationSettings } from './integration.js';

export class CreateIntegration extends ThingCommand<Integration> {
  constructor(
    id: string,
    author: Author,
    readonly provider: string,
    readonly slug: string,
    readonly settings: IntegrationSettings,
    /** Reference of the secret. */
    readonly secret?: string,
  ) {
    super(id, author);
  }
}

export class UpdateIntegration extends ThingCommand<Integration> {
  constructor(
    id: string,
    author: Author,
    readonly changes: Partial<IntegrationSettings>,
    /** Settings that are taken away. */
    readonly removed: readonly (keyof IntegrationSettings)[],
  ) {
    super(id, author);
  }
}

export class RotateSecret extends ThingCommand<Integration> {
  constructor(
    id: string,
    author: Author,
    /** Reference of the new secret; none: the slug alone authenticates from now on. */
    readonly secret: string | undefined,
    /** How long the one before is still accepted; 0 for no longer. */
    readonly graceSeconds: number,
  ) {
    super(id, author);
  }
}

export class EnableIntegration extends ThingCommand<Integration> {}

export class DisableIntegration extends ThingCommand<Integration> {}

export class DeleteIntegration extends ThingCommand<Integration> {}
