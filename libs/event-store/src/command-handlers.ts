import type { Type } from '@nestjs/common';
import { Inject } from '@nestjs/common';
import { Command, CommandHandler, type ICommandHandler } from '@nestjs/cqrs';

import type { DataOf, EventType } from '#libs/events/src/catalogue.js';
import type { Cause, EventMetadata } from '#libs/events/src/envelope.js';
import { Clock } from '#libs/kernel/src/clock.js';
import type { Rejected } from '#libs/kernel/src/errors.js';
import { parseJson } from '#libs/kernel/src/text/exact-json.js';
import { uuid7 } from '#libs/kernel/src/ids.js';

import { EventStore, type RecordedEvent, WrongRevision } from './event-store.js';
import { type EventDraft, newEvent } from './new-event.js';
import { type Claimant, type Holding, reserveName } from './names/unique-name.js';
import { readWhole } from './reading.js';

/** On whose behalf something is done. */
export interface Author {
  readonly orgId: string;
  /** `token/tok_…`, `run/run_…`, `millrace`. */
  readonly actor: string;
  /** What caused it; absent when a person or program outside did. */
  readonly cause?: Cause;
}

/** Where a command left its stream; `position` is what read-your-writes waits for. */
export interface Committed<State = unknown> {
  readonly id: string;
  /** Of the last event of the stream; -1n if the stream is still empty. */
  readonly revision: bigint;
  /** 0n if nothing was appended. */
  readonly position: bigint;
  /** The state after the command. */
  readonly state: State;
  /** Of the first event of the stream, and of the last one that changed the state. */
  readonly createdAt: Date;
  readonly createdBy: string;
  readonly updatedAt: Date;
}

/** Something that someone wants done to one thing. Subclasses are imperative: `RegisterWebhook`. */
export abstract class ThingCommand<State = unknown> extends Command<Committed<State>> {
  constructor(
    readonly id: string,
    readonly author: Author,
    /** Optimistic concurrency: refuse unless the stream is at this revision. */
    readonly expectedRevision?: bigint,
  ) {
    super();
  }
}

/** How the state of one kind of thing follows from its events. Every event it owns has its line in `evolve`. */
export interface Slice<State, Own extends EventType> {
  /** The thing, singular: `webhook`. Its events have its id in `webhookId`. */
  readonly name: string;
  readonly stream: (id: string) => string;
  readonly initial: State;
  readonly evolve: { readonly [T in Own]: (state: State, data: DataOf<T>, event: EvolveContext) => State };
  /** Whether nothing follows any more: tables forget it. */
  readonly hasEnded?: (state: State) => boolean;
  /** A name that no two of these things have at a time. */
  readonly uniqueName?: {
    /** What the thing has now; `scope` is the organisation, or the empty text for everywhere. */
    readonly of: (state: State) => { readonly scope: string; readonly name: string } | undefined;
    readonly taken: (name: string) => Rejected;
  };
}

export interface EvolveContext {
  readonly revision: bigint;
  readonly metadata: EventMetadata;
}

/** Types a slice: `slice<Webhook>()({ name, stream, initial, evolve })`. */
export const slice =
  <State>() =>
  <Own extends EventType>(definition: Slice<State, Own>): Slice<State, Own> =>
    definition;

/** The event types that a slice is folded from. */
export const typesOf = <State, Own extends EventType>({ evolve }: Slice<State, Own>): readonly Own[] =>
  Object.keys(evolve) as Own[];

/** The verb: what happens, as facts. Pure. Returns no draft when there is nothing to do; throws `Rejected` to refuse. */
export type Decide<State, Own extends EventType, C> = (
  state: State,
  command: C,
  now: Date,
) => readonly EventDraft<Own>[];

interface Row<State, Own extends EventType> {
  readonly command: Type<ThingCommand<State>>;
  readonly decide: Decide<State, Own, never>;
}

/** Pairs a command with its decision; a wrong pair does not compile. */
export function on<State, Own extends EventType, C extends ThingCommand<State>>(
  command: new (...args: never[]) => C,
  decide: Decide<State, Own, C>,
): Row<State, Own> {
  return { command: command as unknown as Type<ThingCommand<State>>, decide };
}

/** The state of a stream after `events`. */
export function fold<State, Own extends EventType>(
  { initial, evolve }: Slice<State, Own>,
  events: readonly RecordedEvent[],
  from: State = initial,
): State {
  return events.reduce<State>((state, event) => {
    const step = evolve[event.type as Own] as
      ((state: State, data: unknown, context: EvolveContext) => State) | undefined;
    return step && event.isReadable ? step(state, event.data, event) : state;
  }, from);
}

/** What leaves the state as it is, such as a test delivery, is no change. */
function lastChange<State, Own extends EventType>(
  thing: Slice<State, Own>,
  events: readonly RecordedEvent[],
): Date | undefined {
  let state = thing.initial;
  let at: string | undefined;
  for (const event of events) {
    const after = fold(thing, [event], state);
    if (after !== state) at = event.metadata.timestamp;
    state = after;
  }
  return at === undefined ? undefined : new Date(at);
}

/** Reserves the name that a thing is about to have. The append that follows expects the claimant's revision. */
async function takeName<State, Own extends EventType>(
  store: EventStore,
  thing: Slice<State, Own>,
  { before, after }: { readonly before: State; readonly after: State },
  claimant: Claimant,
): Promise<void> {
  const { uniqueName } = thing;
  const wanted = uniqueName?.of(after);
  if (uniqueName === undefined || wanted === undefined) return;
  const isWanted = (state: State): boolean => {
    const had = uniqueName.of(state);
    return had?.scope === wanted.scope && had.name === wanted.name;
  };
  if (isWanted(before)) return;
  const holding = async (id: string): Promise<Holding> => {
    const stream = thing.stream(id);
    const events = await readWhole(store, stream);
    return { stream, revision: events.at(-1)?.revision ?? -1n, hasName: isWanted(fold(thing, events)) };
  };
  const isReserved = await reserveName(store, { kind: thing.name, ...wanted }, claimant, holding);
  if (!isReserved) throw uniqueName.taken(wanted.name);
}

const MAX_TRIES = 5;

/**
 * Reads the stream, folds, decides, appends at the revision just read, and tries again when somebody else was faster.
 * The one way in which a command changes anything.
 */
export async function execute<State, Own extends EventType, C extends ThingCommand<State>>(
  store: EventStore,
  clock: Clock,
  thing: Slice<State, Own>,
  decide: Decide<State, Own, C>,
  command: C,
): Promise<Committed<State>> {
  const stream = thing.stream(command.id);
  for (let tries = 1; ; tries++) {
    const events = await readWhole(store, stream);
    const state = fold(thing, events);
    const revision = BigInt(events.length === 0 ? -1 : events.at(-1)!.revision);
    if (command.expectedRevision !== undefined && command.expectedRevision !== revision)
      throw new WrongRevision(stream, command.expectedRevision, revision);
    const now = clock.now();
    const drafts = decide(state, command, now);
    const { orgId, actor, cause } = command.author;
    // A name that lapsed, or what others wrote, may come before it.
    const first = events.find(({ type, isReadable }) => type in thing.evolve && isReadable);
    const committed = {
      id: command.id,
      createdAt: new Date(first?.metadata.timestamp ?? now),
      createdBy: first?.metadata.actor ?? actor,
      updatedAt: lastChange(thing, events) ?? now,
    };
    if (drafts.length === 0) return { ...committed, revision, position: 0n, state };
    const context = { orgId, actor, now, subject: `${thing.name}/${command.id}`, ...(cause && { cause }) };
    const appended = drafts.map((draft) => newEvent(draft, { ...context, id: uuid7() }));
    const after = drafts.reduce<State>((before, draft, index) => {
      const step = thing.evolve[draft.type] as (state: State, data: unknown, context: EvolveContext) => State;
      const metadata = parseJson(appended[index]!.metadata) as EventMetadata;
      return step(before, draft.data, { revision: revision + BigInt(index + 1), metadata });
    }, state);
    await takeName(store, thing, { before: state, after }, { id: command.id, orgId, actor, now, revision });
    try {
      const result = await store.append(stream, appended, revision < 0n ? 'no-stream' : revision);
      const updatedAt = after === state ? committed.updatedAt : now;
      return { ...committed, updatedAt, revision: result.revision, position: result.position, state: after };
    } catch (error) {
      if (!(error instanceof WrongRevision) || tries === MAX_TRIES || command.expectedRevision !== undefined)
        throw error;
    }
  }
}

const NAME_EVENTS: readonly EventType[] = ['name.reserved', 'name.lapsed'];

/**
 * One `@CommandHandler` of @nestjs/cqrs for each row, as providers of the stage's module. Each class has a static
 * `writes`: the types it may append, which the wiring test holds against those who read.
 */
export function commandHandlers<State, Own extends EventType>(
  thing: Slice<State, Own>,
  rows: readonly Row<State, Own>[],
): Type<ICommandHandler>[] {
  return rows.map(({ command, decide }) => {
    class Handler {
      static readonly writes = [...Object.keys(thing.evolve), ...(thing.uniqueName ? NAME_EVENTS : [])];
      constructor(
        @Inject(EventStore) readonly store: EventStore,
        @Inject(Clock) readonly clock: Clock,
      ) {}
      execute(given: ThingCommand<State>): Promise<Committed<State>> {
        return execute(this.store, this.clock, thing, decide as Decide<State, Own, ThingCommand<State>>, given);
      }
    }
    CommandHandler(command)(Handler);
    Object.defineProperty(Handler, 'name', { value: `${command.name}Handler` });
    return Handler;
  });
}
