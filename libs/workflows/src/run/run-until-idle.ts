import {
  type EventStore,
  type EventToAppend,
  platformEvent,
  type RecordedEvent,
  WrongRevision,
} from '#libs/event-store/src/event-store.js';
import type { OwnTypeTable } from '#libs/event-types/src/own-type.table.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { readAt, readLast, readWhole } from '#libs/event-store/src/reading.js';
import { retryWhileAway } from '#libs/event-store/src/retry-while-away.js';
import { actedBy, type Cause, type EventMetadata, type PlatformEvent } from '#libs/events/src/envelope.js';
import { streams } from '#libs/events/src/streams.js';
import type { EventPlace } from '#libs/events/src/types/workflow.events.js';
import type { Backoff } from '#libs/kernel/src/time/backoff.js';
import type { Clock } from '#libs/kernel/src/clock.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';
import { Transient } from '#libs/kernel/src/errors.js';
import { uuid5, uuid7, type Uuid } from '#libs/kernel/src/ids.js';
import type { Log } from '#libs/kernel/src/log.js';

import { decide, type Decision } from '../engine/decide.js';
import type { RunDraft, SignLink, World } from '../engine/run-decision.js';
import { evolve, foldRun, type StartedRun } from '../engine/run-state.js';
import type { Definition } from '../language/definition.js';
import type { RequestOutcome } from '../steps/kind/step-kind.js';
import type { OpenStep, StepStates } from '../steps/kind/step-state.js';
import { IN_ORDER, isArrival } from './turns/turns.js';
import { Attempts, type MakeAttempt } from './attempts.js';
import { logFailures } from './log-failures.js';

/** What a run needs of the world in order to go on. */
export interface RunPorts {
  readonly store: EventStore;
  readonly clock: Clock;
  /** The version that a run is pinned to. */
  definition(workflowId: string, version: string): Promise<Definition>;
  /**
   * Outcomes that have come in for these requests.
   * @param isLast whether a time limit is over: what is in the log by now must be found, since nobody looks again.
   */
  outcomes(requests: readonly Uuid[], isLast: boolean): Promise<ReadonlyMap<Uuid, RequestOutcome>>;
  /** Resolves with the output, or rejects as the step does. */
  readonly makeAttempt: MakeAttempt;
  /** A run that is due withlength of the period in milliseconds is kept, not given back: clocks may differ (default 60,000). */
  readonly earlyMs?: number;
  /** How long an append whose outcome is unknown waits before the next try. */
  readonly retries?: Backoff;
  /** Whether a run has the turn that it came for. @param arrival position of the event with which it came. */
  hasTurn(runId: string, arrival: bigint): Promise<boolean>;
  readonly log?: Log;
  readonly signLink?: SignLink;
  /** Event types of the organisations' own. */
  readonly ownTypes?: Pick<OwnTypeTable, 'find'>;
}

/** How often outcomes are looked up while attempts keep the run busy. */
const LOOK_AGAIN_MS = 1_000;
const EARLY_MS = 60_000;
/** What somebody appends who pauses or resumes a run. */
const HOLDING: readonly string[] = ['run.paused', 'run.resumed', 'workflow.status_changed'];

/**
 * Takes a run as far as it goes now: reads its stream, decides, appends, makes the attempts, and so on until there is
 * nothing to do but wait. Every append expects the revision just read, so of two processes that run it only one gets on,
 * and the other stops. Returns the position of the last event of the stream.
 * @param known where this process has recorded the run. Somebody else may have appended since: then the first append fails.
 */
export async function runUntilIdle(
  ports: RunPorts,
  runId: string,
  signal: AbortSignal,
  known?: KnownRun,
): Promise<{ position: bigint }> {
  if (known) {
    const { decision, isBegun } = known;
    return new ActiveRun(ports, known, decision.run, signal).untilIdle(isBegun ? decision : undefined);
  }
  const stream = streams.run(runId);
  const recorded = await readWhole(ports.store, stream);
  const last = recorded.at(-1);
  const run = foldRun(
    recorded
      .filter((one) => one.isReadable)
      .map(({ type, data, metadata }) => ({ type, data, timestamp: metadata.timestamp })),
  );
  if (last === undefined || run.status === 'unknown') throw new Error(`there is no run in ${stream}`);
  if (run.ended || run.held !== undefined) return { position: last.position };
  const { workflowId, version } = run.start;
  const [definition, about] = await Promise.all([ports.definition(workflowId, version), eventsOf(ports.store, run)]);
  const { revision, position } = last;
  const read = { definition, about, first: recorded[0]!, revision, position };
  const active = new ActiveRun(ports, read, run, signal);
  if (run.released) return active.wake();
  // Others have its place, or may get it: only the turn that it came for is its own.
  const arrival = recorded.findLast(isArrival)!.position;
  if (run.concurrency?.whileWaiting === 'release' && !(await ports.hasTurn(runId, arrival))) return { position: 0n };
  return active.untilIdle();
}

type About = Pick<World, 'event' | 'events'>;

/** Where the stream of a run is, and what its decisions depend on. */
interface Known {
  readonly definition: Definition;
  readonly about: About;
  readonly first: RecordedEvent;
  /** Of the last event. */
  readonly revision: bigint;
  readonly position: bigint;
}

/** A run of which no more is recorded than its first append. */
export interface KnownRun extends Known {
  /** The last in that append. */
  readonly decision: Decision;
  /** Whether it holds the start of the first attempts, which nobody but this process makes. */
  readonly isBegun: boolean;
}

/** The events that led to the run are not copied into it: they are read from the streams that the run names. */
async function eventsOf(store: EventStore, { start }: StartedRun): Promise<About> {
  const read = async ({ stream, revision }: EventPlace): Promise<PlatformEvent | undefined> => {
    const recorded = await readAt(store, stream, revision);
    return recorded && platformEvent(recorded);
  };
  const event = start.event && (await read(start.event));
  if (!start.events) return { event };
  const all = await Promise.all(start.events.map(read));
  // Retention may have taken some.
  return { event, events: all.filter((one) => one !== undefined) };
}

class ActiveRun {
  /** Part of the ids of what is appended: two owners never take each other's events for their own. */
  private readonly owner = uuid7();
  private readonly attempts: Attempts;
  private revision: bigint;
  private position: bigint;

  private readonly definition: Definition;
  private readonly about: About;
  private readonly first: RecordedEvent;

  constructor(
    private readonly ports: RunPorts,
    { definition, about, first, revision, position }: Known,
    private run: StartedRun,
    private readonly signal: AbortSignal,
  ) {
    this.definition = definition;
    this.about = about;
    this.first = first;
    this.revision = revision;
    this.position = position;
    const { runId } = run.start;
    const attempted = { runId, orgId: first.metadata.orgId, secrets: definition.secrets };
    this.attempts = new Attempts(ports.makeAttempt, attempted, signal);
  }

  /** Asks for a place again, once there is something to do. */
  async wake(): Promise<{ position: bigint }> {
    const decision = decide(this.run, { ...(await this.world()), attempting: 'leave' });
    if (this.isEarly(decision)) await this.attempts.nextEnd(this.timeUntilNext(decision));
    if (this.signal.aborted) throw interrupted();
    const { runId, workflowId, workflow } = this.run.start;
    const status = { runId, workflowId, workflow, from: this.run.status, to: 'queued' };
    const queued = { type: 'workflow.status_changed', data: status };
    const data = { runId, concurrency: { ...this.run.concurrency!, ...IN_ORDER } };
    crashPoint('turns.before-wake');
    await this.unlessOutdated(() => this.append([{ type: 'run.woken', data }, queued], this.ports.clock.now()));
    crashPoint('turns.after-wake');
    return { position: this.position };
  }

  /** @param recorded what was decided and recorded already. */
  async untilIdle(recorded?: Decision): Promise<{ position: bigint }> {
    await this.unlessOutdated(() => this.goOn(recorded));
    return { position: this.position };
  }

  private async goOn(recorded?: Decision): Promise<void> {
    try {
      for (let decisions = 1; ; decisions++) {
        const decision = decisions === 1 && recorded ? recorded : await this.decide();
        if (decision.run.held === undefined) this.attempts.keepOnly(decision.attempts);
        // What is under way ends and is recorded; nothing new begins.
        else if (!this.attempts.isBusy) break;
        if (decision.run.ended) break;
        if (decision.isUnfinished) continue;
        if (!this.attempts.isBusy && (decision.run.released || !(decisions === 1 && this.isEarly(decision)))) break;
        await this.attempts.nextEnd(this.timeUntilNext(decision));
        if (this.signal.aborted) throw interrupted();
      }
    } finally {
      this.attempts.stop();
    }
  }

  private async unlessOutdated(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      // Somebody else has appended: a cancellation, or a process that took over. Both make what we know outdated.
      if (!(error instanceof WrongRevision)) throw error;
      const newest = await readLast(this.ports.store, this.first.stream);
      this.position = newest?.position ?? this.position;
    }
  }

  private async world(): Promise<Omit<World, 'attempting'>> {
    // Taken before the look at the outcomes: a timer that is due afterwards fires at the next look.
    const now = this.ports.clock.now();
    const waiting = awaitingSteps(this.run.steps);
    const requests = waiting.flatMap(({ awaiting }) => awaiting);
    const isLast = isOverdue([...waiting, this.run], now);
    const outcomes =
      requests.length === 0 ? new Map<Uuid, RequestOutcome>() : await this.ports.outcomes(requests, isLast);
    const { definition, about } = this;
    const { signLink, ownTypes } = this.ports;
    const { orgId } = this.first.metadata;
    return {
      definition,
      ...about,
      outcomes,
      now,
      ...(signLink && { signLink }),
      ...(ownTypes && { ownType: (type: string) => ownTypes.find(orgId, type) }),
    };
  }

  private async decide(): Promise<Decision> {
    const seen = await this.world();
    const results = this.attempts.ended();
    const world = { ...seen, attempting: this.attempts.paths() };
    const decision = decide(this.run, world, results);
    try {
      await this.append(decision.drafts, world.now);
    } catch (error) {
      if (!(error instanceof WrongRevision) || !(await this.wasHeld())) throw error;
      this.attempts.putBack(results);
      return this.decide();
    }
    if (results.length > 0) crashPoint('workflows.after-outcome');
    this.run = decision.run;
    return decision;
  }

  /** Whether the run was only paused or resumed meanwhile: then this process is still the one that is busy with it. */
  private async wasHeld(): Promise<boolean> {
    const from = this.revision + 1n;
    const newer = await this.ports.store.readStream(this.first.stream, { from, limit: 100 });
    if (newer.length === 0 || !newer.every(({ type }) => HOLDING.includes(type))) return false;
    for (const { type, data, metadata, revision, position } of newer) {
      this.run = evolve(this.run, { type, data, timestamp: metadata.timestamp }) as StartedRun;
      this.revision = revision;
      this.position = position;
    }
    return true;
  }

  /**
   * The row was due by the clock of the database, and by ours nothing is: given back, it would come again at once, until
   * the clocks agree.
   */
  private isEarly({ drafts, until }: Decision): boolean {
    if (until === undefined || drafts.length !== 1 || drafts[0]!.type !== 'run.rested') return false;
    return until.getTime() - this.ports.clock.now().getTime() < (this.ports.earlyMs ?? EARLY_MS);
  }

  /** Milliseconds until there may be something to do besides the attempts. */
  private timeUntilNext({ until }: Decision): number | undefined {
    const timer = until && Math.max(0, until.getTime() - this.ports.clock.now().getTime());
    const look = awaitingSteps(this.run.steps).length > 0 ? LOOK_AGAIN_MS : undefined;
    return timer === undefined ? look : Math.min(timer, look ?? timer);
  }

  private async append(drafts: readonly RunDraft[], now: Date): Promise<void> {
    if (drafts.length === 0) return;
    const { metadata } = this.first;
    const events = runEvents(
      drafts,
      this.first.id,
      // The first event of a run that an older version started does not name the workflow.
      { ...metadata, ...actedBy(metadata.causedBy, this.run.start.workflowId), actor: metadata.subject },
      now,
      this.owner,
      this.revision,
    );
    const appended = await retryWhileAway(
      () => this.ports.store.append(this.first.stream, events, this.revision),
      this.signal,
      this.ports.retries,
    );
    this.revision = appended.revision;
    this.position = appended.position;
    if (this.ports.log) logFailures(this.ports.log, events);
  }
}

const interrupted = (): Transient =>
  new Transient('run.interrupted', 'The process is stopping; another process continues the run.');

/** Steps that wait for the outcome of a request. */
export function awaitingSteps(steps: StepStates): OpenStep[] {
  return Object.values(steps).flatMap((step) => {
    if (step.status !== 'open') return [];
    const inside = step.items.filter(({ done }) => !done).flatMap((item) => awaitingSteps(item.steps));
    return step.awaiting.length === 0 ? inside : [step, ...inside];
  });
}

/** Whether a time limit of one of them is over, and it does not know yet. */
const isOverdue = (limited: readonly Partial<Pick<OpenStep, 'timer' | 'deadline'>>[], now: Date): boolean =>
  limited.some(({ timer, deadline }) =>
    [timer, deadline].some((one) => one !== undefined && !one.fired && Date.parse(one.at) <= now.getTime()),
  );

/** Events of a run as the log takes them. All have the cause of the run; without one, the run's first event is the cause. */
export function runEvents(
  drafts: readonly RunDraft[],
  firstId: Uuid,
  first: Pick<EventMetadata, 'orgId' | 'subject' | 'actor' | '$correlationId' | '$causationId' | 'hop' | 'causedBy'>,
  now: Date,
  owner: string,
  revision: bigint,
): readonly EventToAppend[] {
  const { orgId, subject, actor, $correlationId, $causationId = firstId, hop, causedBy } = first;
  const cause: Cause = { $correlationId, $causationId, hop, ...(causedBy && { causedBy }) };
  return drafts.map((draft, index) =>
    newEvent(draft, {
      id: draft.id ?? uuid5('run-event', subject, owner, String(revision + BigInt(index))),
      orgId,
      actor,
      now,
      cause,
      subject,
    }),
  );
}
