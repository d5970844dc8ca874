import type { EventMetadata } from '#libs/events/src/envelope.js';
import type { Uuid } from '#libs/kernel/src/ids.js';
import type { JsonObject } from '#libs/kernel/src/json.js';

/** What the personal parts of an event are bound to: moved into another event, they cannot be decrypted. */
export interface Envelope {
  readonly id: Uuid;
  readonly type: string;
  readonly metadata: Pick<EventMetadata, 'source' | 'subject' | 'orgId' | 'timestamp'>;
}

/** Decrypts the personal parts of an event. */
export interface Opener {
  /** Whether a key that the event needs was destroyed. */
  readonly isErased: boolean;
  /** @returns `data` with its personal parts in clear, and `{ "$erased": true }` where there is no key. */
  open(envelope: Envelope, data: JsonObject): JsonObject;
}
