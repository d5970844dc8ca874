import { randomUUID } from 'node:crypto';

import type { EventStore } from '#libs/event-store/src/event-store.js';
import { type Prefix, PREFIXES, publicId, randomText, secretText, uuid8 } from '#libs/kernel/src/ids.js';

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
  const salt = await saltOf(orgId, secrets);
  return publicId(prefix, uuid8(salt, prefix, orgId, idempotencyKey));
}

/** The first caller stores it; every caller gets what is stored. */
const saltOf = (orgId: string, secrets: Secrets): Promise<string> =>
  secrets.put(orgId, `${orgId}/address-ids/1`, randomText(32));

/** Where requests for a workflow come in. */
export interface WorkflowAddress {
  readonly integrationId: string;
  readonly slug: string;
  /** Of its first secret. */
  readonly secretReference: string;
}

/**
 * The address of the integration that belongs to a workflow, whether it was made or not. It follows from the workflow and a
 * secret of the organisation: whoever saves the workflow and whoever makes the integration, now or after a crash, come to
 * the same.
 */
export async function workflowAddress(orgId: string, workflowId: string, secrets: Secrets): Promise<WorkflowAddress> {
  const salt = await saltOf(orgId, secrets);
  const integrationId = publicId(PREFIXES.integration, uuid8(salt, 'workflow', orgId, workflowId));
  return {
    integrationId,
    slug: `wh_${secretText(salt, 'slug', integrationId)}`,
    secretReference: `${integrationId}/secret/1`,
  };
}

/** The first secret of that integration: whoever asks first makes it. */
export const workflowSecret = (
  orgId: string,
  { secretReference }: WorkflowAddress,
  secrets: Secrets,
): Promise<string> => secrets.put(orgId, secretReference, randomText(24));
