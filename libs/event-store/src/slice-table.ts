import type { EventType } from '#libs/events/src/catalogue.js';

import { fold, type Slice, typesOf } from './command-handlers.js';
import type { RecordedEvent } from './event-store.js';
import type { Table } from './subscriber.js';

/** A thing after an event. */
export interface Change<State> {
  readonly id: string;
  readonly state: State;
}

/** The id of the thing that an event is about; `undefined` if it stands in another stream, as a published event does. */
export function thingIn(
  { name, stream }: Pick<Slice<never, never>, 'name' | 'stream'>,
  event: RecordedEvent,
): string | undefined {
  const id = (event.data as Readonly<Record<string, unknown>>)[`${name}Id`];
  return typeof id === 'string' && event.stream === stream(id) ? id : undefined;
}

/**
 * The state of everything of one kind, in memory. Each thing is folded from its own stream: a published event of
 * such a type changes nothing. What has ended is forgotten.
 */
export class SliceTable<State, Own extends EventType> implements Table {
  incomplete = false;
  private readonly states = new Map<string, State>();
  private readonly types: ReadonlySet<string>;

  /** @param reads the types that matter to callers. */
  constructor(
    readonly name: string,
    private readonly slice: Slice<State, Own>,
    readonly reads: readonly Own[] = typesOf(slice),
  ) {
    this.types = new Set(reads);
  }

  clear(): void {
    this.states.clear();
  }

  apply(event: RecordedEvent): void {
    const change = this.after(event);
    if (change) this.put(change);
  }

  /** What an event makes of its thing; `undefined` if it is none of this kind. Changes nothing: for those that must wait first. */
  after(event: RecordedEvent): Change<State> | undefined {
    // By the type first: of most events that pass, the data is never parsed.
    if (!this.types.has(event.type)) return undefined;
    const id = thingIn(this.slice, event);
    if (id === undefined) return undefined;
    return { id, state: fold(this.slice, [event], this.states.get(id)) };
  }

  put({ id, state }: Change<State>): void {
    if (this.slice.hasEnded?.(state)) this.states.delete(id);
    else this.states.set(id, state);
  }

  get(id: string): State | undefined {
    return this.states.get(id);
  }

  entries(): Iterable<readonly [id: string, state: State]> {
    return this.states;
  }
}
