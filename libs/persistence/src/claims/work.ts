import type { ViewTransaction } from '#libs/event-store/src/subscriber.js';

import type { PerGroup } from './group-windows.js';

/**
 * Claimed work: what must be done is a row that a projection writes in the transaction of its checkpoint. Workers of
 * any process claim due rows (`FOR UPDATE SKIP LOCKED`), do the effect and append the outcome; the projection of the
 * outcome removes the row or gives it a new time. The log stays the truth: rows can be rebuilt from it.
 *
 * Work that is due at once is usually handed over to a worker of the process that writes the row, claimed already.
 *
 * A row is claimed by a process, and free again when that process has not been heard of for 8 seconds.
 *
 * A queue has one kind of payload: what JSON can hold, which the scheduling side and the worker name by one type.
 */
export interface Work<Payload extends object = object> {
  /** `deliveries.attempt`, `workflows.run` … */
  readonly queue: string;
  /** One row per (queue, key): scheduling again replaces time, group and payload. */
  readonly key: string;
  readonly dueAt: Date;
  /** Rows of one group share a limit of concurrency: one slow receiver holds up nobody else. */
  readonly group?: string;
  readonly payload: Payload;
  /** Position of the event that this follows from. */
  readonly position: bigint;
  /** Who works on it already, as the event says: see {@link WorkQueue.take}. */
  readonly taken?: Taken;
}

/** A claim that is older than its row. */
export interface Taken {
  readonly process: string;
  readonly claim: string;
}

/** A place for work in this process. One of the two is called. */
export interface Place extends Taken {
  /** The event that names the claim is in the log. The work begins. */
  begin(work: Work): void;
  release(): void;
}

export abstract class WorkQueue {
  /** Inserts or replaces rows; does not take a row away from the process that has it claimed. */
  abstract schedule(tx: ViewTransaction, work: readonly Work[]): Promise<void>;
  /**
   * Takes a place in this process for work that is due at once, before its row is written. The event that asks for the work
   * names process and claim; its projection gives them to {@link schedule}. So the work begins as soon as the event is in the
   * log, and whoever writes the row knows that it has begun.
   * @returns `undefined` where there is no room, or older work waits.
   */
  take(_work: Pick<Work, 'queue' | 'key' | 'group'>): Place | undefined {
    return undefined;
  }
  /**
   * Keeps for a while, in memory, what spares the worker a look into the log, should this process be the first to claim the row. It
   * is given to the worker as part of the payload, once, and may be missing.
   */
  hint(_queue: string, _key: string, _payload: object): void {}
  /**
   * Removes rows; those that do not exist are passed over.
   * @param upTo rows that follow from later events stay.
   */
  abstract remove(tx: ViewTransaction, queue: string, keys: readonly string[], upTo?: bigint): Promise<void>;
  /** Removes rows of a group that nobody works on: at most 1000, in the order of their keys, after the key `after`. */
  abstract takeBack(tx: ViewTransaction, queue: string, group: string, after: string): Promise<readonly Work[]>;
  /** Of these keys, those whose work is still to end: neither removed nor given up. */
  abstract unended(tx: ViewTransaction, queue: string, keys: readonly string[]): Promise<ReadonlySet<string>>;
  /**
   * Removes rows that nobody works on and whose payload names this event as its cause (`cause.id`): what has begun goes on.
   * @returns the keys of those that were removed.
   */
  abstract withdraw(
    tx: ViewTransaction,
    queue: string,
    rows: readonly { readonly key: string; readonly cause: string }[],
  ): Promise<ReadonlySet<string>>;
}

export interface ClaimedWork<Payload extends object = object> extends Work<Payload> {
  /**
   * How often the row has been claimed since it was scheduled. From 2 on an earlier try may have got as far as its
   * outcome: look into the log before the effect.
   */
  readonly claims: number;
  /** How many processes in a row died while they had the row: absent or 0 unless the one before this claim did. */
  readonly crashes?: number;
}

/** What `run` reports: the position of the last event it appended, whose projection says what becomes of the row. */
export interface WorkDone {
  readonly position: bigint;
  /** The receiver failed: its group is given less at a time. */
  readonly hasFailed?: boolean;
  /** Nothing was appended, and the row is due again after so long, unless it was removed or rescheduled meanwhile. */
  readonly againAfterMs?: number;
}

/** Does one kind of claimed work, in every process that has the worker role. */
export interface Worker<Payload extends object = object> {
  readonly queue: string;
  /** Most rows at the same time in one process. */
  readonly concurrency: number;
  /** Most rows of one group at the same time in one process: a number, or from where to where it may grow. */
  readonly perGroup?: PerGroup;
  /** Event types it appends, for the wiring test. */
  readonly writes: readonly string[];
  /**
   * Does the effect and appends its outcome with an expected revision, so that a process that lost its claim cannot
   * record a second one. A `Transient` error gives the row back with a back-off; anything else too, a bounded number of
   * times, and then parks the row. `signal` aborts on shutdown and when the claim is lost.
   */
  run(work: ClaimedWork<Payload>, signal: AbortSignal): Promise<WorkDone>;
}
