import type { ViewTransaction } from '#libs/event-store/src/subscriber.js';
import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Uuid } from '#libs/kernel/src/ids.js';

import type { Wait } from './wait-index.js';

/** Open waits as rows, so that a process that starts does not read the whole log. */
export abstract class WaitRows {
  /** All of them, in parts and in any order: so many at once would leave their garbage behind. */
  abstract all(): AsyncIterable<readonly Wait[]>;
  /** In the transaction of the checkpoint. */
  abstract save(tx: ViewTransaction, added: readonly Wait[], removed: readonly Uuid[]): Promise<void>;
}

/** A part of the log, up to and including a position. */
export interface Span {
  readonly orgId: string;
  /** Names or globs. */
  readonly types: readonly string[];
  readonly upTo: bigint;
}

/** Finds events that are in the log already, in its order. */
export abstract class LookBack {
  abstract between(span: Span & { readonly after: bigint }): AsyncIterable<readonly RecordedEvent[]>;
  /** Position of the event that led to a run; of the run's first event where none did. */
  abstract causeOf(started: RecordedEvent): Promise<bigint>;
}
