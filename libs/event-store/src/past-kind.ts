import type { EventType } from '#libs/events/src/catalogue.js';

import { fold, type Slice, typesOf } from './command-handlers.js';
import type { RecordedEvent } from './event-store.js';
import { thingIn } from './slice-table.js';

/** A thing at a place in the log. Times are RFC 3339 UTC. */
export interface PastThing<State = unknown> {
  readonly id: string;
  readonly orgId: string;
  readonly state: State;
  readonly createdAt: string;
  readonly createdBy: string;
  readonly updatedAt: string;
  readonly updatedBy: string;
}

/** What is shown of a thing; secrets never. */
export type Shown = Readonly<Record<string, unknown>>;

/** A kind of thing whose past can be asked for. It is folded by the slice that decides commands. */
export interface PastKind {
  /** As in addresses: `rules`. */
  readonly name: string;
  /** As in actors and subjects: `rule`. */
  readonly thing: string;
  readonly reads: readonly EventType[];
  /** Which of the shown fields a thing is addressed by. */
  readonly key: 'id' | 'name' | 'type';
  /** Whether admins of the installation see those of every organisation. */
  readonly everywhere: boolean;
  /** Shown of a single thing and in a difference, and not in a list. */
  readonly details: readonly string[];
  /** The stream of the thing with this address. */
  streamOf(orgId: string, key: string): string;
  /** What an event makes of its thing; `undefined` if it is none of this kind. */
  after(event: RecordedEvent, before: (id: string) => PastThing | undefined): PastThing | undefined;
  /** `undefined`: it does not exist there. */
  show(thing: PastThing): Shown | undefined;
}

interface Definition<State, Own extends EventType> {
  readonly name: string;
  readonly slice: Slice<State, Own>;
  readonly key?: PastKind['key'];
  /** The id of the thing with this address, where that is not the address. */
  readonly idOf?: (orgId: string, key: string) => string;
  readonly everywhere?: boolean;
  readonly details?: readonly string[];
  readonly show: (state: State, thing: PastThing) => Shown | undefined;
}

/** @param definition `show` says what is particular; the id, the times and who it was are added, unless it says them. */
export const pastKind = <State, Own extends EventType>({
  name,
  slice,
  key = 'id',
  idOf = (_, address) => address,
  everywhere = false,
  details = [],
  show,
}: Definition<State, Own>): PastKind => ({
  name,
  thing: slice.name,
  reads: typesOf(slice),
  key,
  everywhere,
  details,
  streamOf: (orgId, address) => slice.stream(idOf(orgId, address)),
  after(event, before) {
    if (!(event.type in slice.evolve)) return undefined;
    const id = thingIn(slice, event);
    if (id === undefined) return undefined;
    const known = before(id);
    const state = fold(slice, [event], (known?.state as State | undefined) ?? slice.initial);
    if (known && known.state === state) return known;
    const { orgId, actor, timestamp } = event.metadata;
    // What was removed and is there again is new.
    const exists = known && show(known.state as State, known) !== undefined;
    const created = exists ? known : { orgId, createdAt: timestamp, createdBy: actor };
    return {
      id,
      orgId: created.orgId,
      state,
      createdAt: created.createdAt,
      createdBy: created.createdBy,
      updatedAt: timestamp,
      updatedBy: actor,
    };
  },
  show(thing) {
    const { id, createdAt, createdBy, updatedAt, updatedBy } = thing;
    const shown = show(thing.state as State, thing);
    return shown && { ...(key === 'id' && { id }), ...shown, createdAt, createdBy, updatedAt, updatedBy, ...shown };
  },
});

/** Every kind, of all stages. Its own injection token. */
export class PastKinds {
  constructor(readonly all: readonly PastKind[]) {}
}
