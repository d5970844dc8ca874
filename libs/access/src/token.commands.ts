import { type Author, ThingCommand } from '#libs/event-store/src/command-handlers.js';

import type { Role } from './caller.js';
import type { Token } from './token.js';

export class CreateToken extends ThingCommand<Token> {
  constructor(
    id: string,
    author: Author,
    readonly name: string,
    /** SHA-256 of its text, hex. */
    readonly hash: string,
    readonly roles: readonly Role[],
    readonly expiresAt?: Date,
  ) {
    super(id, author);
  }
}

/** The operator's own token, from `MILLRACE_ADMIN_TOKEN` or generated at the first start. */
export class InstallBootstrapToken extends ThingCommand<Token> {
  readonly name = 'bootstrap';
  readonly roles: readonly Role[] = ['admin'];
  constructor(
    id: string,
    author: Author,
    readonly hash: string,
    /** A configured token replaces what is there; a generated one gives way to whoever was first. */
    readonly origin: 'configured' | 'generated',
  ) {
    super(id, author);
  }
}

export class RevokeToken extends ThingCommand<Token> {}
