import type { ViewTransaction } from '#libs/event-store/src/subscriber.js';
import { platformEvent, type RecordedEvent } from '#libs/event-store/src/event-store.js';
import { typeMatcher } from '#libs/events/src/patterns.js';
import { type Path, valueAt } from '#libs/expressions/src/path.js';
import { uuid5, type Uuid } from '#libs/kernel/src/ids.js';

import { keyOf, type Place } from './wait-index.js';

/** What waits of an organisation compare: events of a pattern, by the values at some paths. */
export interface Shape {
  readonly id: number;
  readonly orgId: string;
  readonly pattern: string;
  readonly paths: readonly Path[];
}

/** Where the log keeps an event that has a key. */
export interface KeyedEvent {
  readonly shape: number;
  readonly key: Uuid;
  readonly position: bigint;
  readonly stream: string;
  readonly revision: bigint;
}

/** A part of the log: positions are exclusive. */
export interface Between {
  readonly orgId: string;
  readonly after: bigint;
  readonly before: bigint;
}

/**
 * Events by the values that waits compare. The first wait of a kind has the events of its span entered once; from then on each
 * event is entered as it comes, and a wait that begins looks up its own.
 */
export abstract class WaitKeys {
  /** Forgets what is not saved, and reads what is. */
  abstract load(): Promise<void>;
  /** Enters an event where waits of its organisation compare such events. */
  abstract note(event: RecordedEvent): void;
  /** Events that have the values of one of the places, in the order of the log. */
  abstract find(places: readonly Place[], span: Between): AsyncIterable<readonly RecordedEvent[]>;
  abstract get hasNews(): boolean;
  /** In the transaction of the checkpoint. */
  abstract save(tx: ViewTransaction): void;
}

/** The key that an event has for waits of a shape; `undefined` where it fits none. */
export function keyFor({ id, orgId, pattern, paths }: Shape, event: RecordedEvent): KeyedEvent | undefined {
  if (event.metadata.orgId !== orgId || !typeMatcher([pattern])(event.type)) return undefined;
  const shown = platformEvent(event);
  const key = keyOf(paths.map((path) => valueAt(path, shown)));
  if (key === undefined) return undefined;
  const { position, stream, revision } = event;
  return { shape: id, key: hashOf(key), position, stream, revision };
}

export const hashOf = (key: string): Uuid => uuid5('wait-key', key);
