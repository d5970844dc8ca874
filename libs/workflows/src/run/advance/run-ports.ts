import type { EventStore, RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { OwnTypeTable } from '#libs/event-types/src/own-type.table.js';
import type { Backoff } from '#libs/kernel/src/time/backoff.js';
import type { Clock } from '#libs/kernel/src/clock.js';
import type { Uuid } from '#libs/kernel/src/ids.js';
import type { Log } from '#libs/kernel/src/log.js';

import type { Decision } from '../../engine/decide.js';
import type { SignLink, World } from '../../engine/run-decision.js';
import type { Definition } from '../../language/definition.js';
import type { RequestOutcome } from '../../steps/kind/step-kind.js';
import type { MakeAttempt } from './attempts.js';
import type { RunSnapshots } from './run-snapshot.js';

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
  /** A run that is due within this many milliseconds is kept, not given back: clocks may differ (default 60,000). */
  readonly earlyMs?: number;
  /** How long an append whose outcome is unknown waits before the next try. */
  readonly retries?: Backoff;
  /** Whether a run has the turn that it came for. @param arrival position of the event with which it came. */
  hasTurn(runId: string, arrival: bigint): Promise<boolean>;
  /** Absent: the whole stream is read each time. */
  readonly snapshots?: RunSnapshots;
  readonly log?: Log;
  readonly signLink?: SignLink;
  /** Event types of the organisations' own. */
  readonly ownTypes?: Pick<OwnTypeTable, 'find'>;
}

export type About = Pick<World, 'event' | 'events'>;

/** Where the stream of a run is, and what its decisions depend on. */
export interface Known {
  readonly definition: Definition;
  readonly about: About;
  readonly first: RecordedEvent;
  /** Of the last event. */
  readonly revision: bigint;
  readonly position: bigint;
  readonly lastId?: Uuid;
  /** Position of the event with which the run last came for a turn. Absent: its first event. */
  readonly arrival?: bigint;
  /** Keys of all people of whom the run has personal data. Absent: those of its first event. */
  readonly personal?: readonly string[];
  /** Up to which a snapshot holds the run. */
  readonly savedRevision?: bigint;
}

/** A run of which no more is recorded than its first append. */
export interface KnownRun extends Known {
  /** The last in that append. */
  readonly decision: Decision;
  /** Whether it holds the start of the first attempts, which nobody but this process makes. */
  readonly isBegun: boolean;
}
