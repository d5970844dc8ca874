import type { Uuid } from '#libs/kernel/src/ids.js';

import type { ViewTransaction } from '../subscriber.js';

/**
 * Where each subscriber is, kept beside the views that it writes. Its own injection token.
 *
 * A checkpoint only moves from the position that the writer believes it to be at. An instance that lost its lock
 * without noticing (a frozen process, a connection that was cut) can therefore never commit.
 */
export abstract class Checkpoints {
  /** `undefined` before the first commit. */
  abstract load(name: string): Promise<bigint | undefined>;

  /** A transaction for views that ends in {@link CheckpointTransaction.commit} or `rollback`. */
  abstract begin(): Promise<CheckpointTransaction>;

  /** Moves a checkpoint without views. @throws CheckpointMoved */
  abstract save(move: CheckpointMove): Promise<void>;

  /** All that are stored, and when each last moved. */
  abstract all(): Promise<ReadonlyMap<string, StoredCheckpoint>>;

  /** Parked events of one subscriber, or of all, oldest first. */
  abstract parked(name?: string, limit?: number): Promise<readonly ParkedEvent[]>;

  /** Parked events whose retry has been asked for. */
  abstract parkedToRetry(name: string): Promise<readonly ParkedEvent[]>;

  /** Asks the active instance, wherever it is, to try again. @returns whether the event is parked. */
  abstract requestRetry(name: string, position: bigint): Promise<boolean>;

  /** Number of parked events by subscriber. */
  abstract parkedCounts(): Promise<ReadonlyMap<string, number>>;

  /** What the database threw, as `Transient` where trying again makes sense; else unchanged. */
  abstract classify(error: unknown): unknown;
}

export interface CheckpointMove {
  readonly name: string;
  /** Where it must be now; `undefined` if it must not exist. */
  readonly from: bigint | undefined;
  readonly to: bigint;
}

export interface StoredCheckpoint {
  readonly position: bigint;
  readonly updatedAt: Date;
}

export interface ParkedEvent {
  readonly subscriber: string;
  readonly position: bigint;
  readonly eventId: Uuid;
  readonly type: string;
  readonly reason: string;
  readonly tries: number;
}

export interface CheckpointTransaction {
  readonly views: ViewTransaction;
  /** In the same transaction; parking the same event again replaces the reason. */
  park(event: ParkedEvent): Promise<void>;
  unpark(name: string, position: bigint): Promise<void>;
  /** Moves the checkpoint and commits. @throws CheckpointMoved after rolling back. */
  commit(move?: CheckpointMove): Promise<void>;
  /** Never throws. */
  rollback(): Promise<void>;
}

/** The database refuses what was to be written: to try again changes nothing. */
export class Unstorable extends Error {
  override readonly name = 'Unstorable';
}

/** Somebody else moved the checkpoint: this instance is not the active one any more. */
export class CheckpointMoved extends Error {
  override readonly name = 'CheckpointMoved';
  constructor(readonly move: CheckpointMove) {
    super(`the checkpoint of ${move.name} is not at ${move.from ?? '(none)'} any more: another instance is active`);
  }
}
