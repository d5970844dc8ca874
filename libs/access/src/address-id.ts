import { randomUUID } from 'node:crypto';

import type { EventStore } from '#libs/event-store/src/event-store.js';
import { type Prefix, publicId, randomText, uuid8 } from '#libs/kernel/src/ids.js';

import { type Caller, newIdFor } from './caller.js';
import type { Secrets } from './secrets/secrets.js';

export interface AddressIdParts {
  readonly prefix: Prefix;
  /** Name of the stream of the thing with this id. */
  readonly stream: (id: string) => string;
  readonly secrets: Secrets;
  readonly store: EventStore;
}

/**
 * The id of a thing about to be created, where the id is an address too: anyone who knows it may send. Without an
 * `Idempotency-Key` all of it is random. With one it follows from the key, so that the same request sent again meets the
 * same stream, and from a secret of the organisation, so that nobody outside can work it out from a key that is easy to
 * guess.
 */
export async function newAddressId(
  caller: Caller,
  { prefix, stream, secrets, store }: AddressIdParts,
): Promise<string> {
  const { orgId, idempotencyKey } = caller;
  if (idempotencyKey === undefined) return publicId(prefix, randomUUID());
  // Earlier versions made it of the key alone. What they made is found again.
  const earlier = newIdFor(caller, prefix);
  if ((await store.readStream(stream(earlier), { limit: 1 })).length > 0) return earlier;
  // The first caller stores it; every caller gets what is stored.
  const salt = await secrets.put(orgId, `${orgId}/address-ids/1`, randomText(32));
  return publicId(prefix, uuid8(salt, prefix, orgId, idempotencyKey));
}
