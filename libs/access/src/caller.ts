import type { Author } from '#libs/event-store/src/command-handlers.js';
import { derivedId, newId, type Prefix } from '#libs/kernel/src/ids.js';

/** What a token may do. `admin` includes all others. */
export type Role = 'admin' | 'designer' | 'integrator' | 'auditor';

/** The sender of a REST request: what the token says, and what the request says about itself. */
export interface Caller extends Author {
  readonly tokenId: string;
  readonly roles: readonly Role[];
  /** The request's `Idempotency-Key`, if it has one. */
  readonly idempotencyKey?: string;
}

/**
 * The id of a thing about to be created. With an `Idempotency-Key` it follows from the key, so that the same request sent
 * again meets the same stream, also after a crash between the append and the answer. Anyone who knows the key can work it
 * out: where an id is an address too, use `newAddressId`.
 */
export function newIdFor(caller: Caller, prefix: Prefix): string {
  return caller.idempotencyKey === undefined
    ? newId(prefix)
    : derivedId(prefix, 'idempotency-key', caller.orgId, caller.idempotencyKey);
}
