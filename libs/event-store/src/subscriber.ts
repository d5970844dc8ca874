import type { EventType } from '#libs/events/src/catalogue.js';
import { type Rejected, Transient } from '#libs/kernel/src/errors.js';

import type { Uuid } from '#libs/kernel/src/ids.js';

import type { RecordedEvent } from './event-store.js';

/**
 * Something that follows the log. The runner is the only loop: it reads batches, calls `handle`, writes the checkpoint
 * in the transaction of the views, and moves on. Of each subscriber one instance is active over all processes.
 *
 * `handle` may be called again for the same events (after a crash, a lost connection, a failed commit): appends go to
 * streams named after their cause, so that a second time is an ordinary "already done".
 *
 * A `Transient` error is retried with back-off without a limit. Anything else is retried a bounded number of times, then the
 * event that causes it is parked (`subscriber.parked`) and the rest goes on.
 */
export interface Subscriber {
  /** Named by what it causes (`deliveries.schedule`). The name is the checkpoint's key: it never changes. */
  readonly name: string;
  /** Event types it is given, for the filter at the server; `'all'` for those that cannot know beforehand. */
  readonly reads: readonly EventType[] | 'all';
  /** Event types it appends. The wiring test holds every type against somebody who reads it. */
  readonly writes: readonly EventType[];
  /**
   * In-memory state that `handle` needs as it was at each event. Before the first batch, and again after a failed one,
   * the runner clears them and folds the log into them up to the checkpoint; from there on `handle` applies each event
   * itself, in order. `reads` must include what they read.
   */
  readonly tables?: readonly Table[];
  /** Most events in one call (default 500). */
  readonly batchSize?: number;
  /**
   * Its views may be a moment late. Under load it is given a batch every 100 ms, not one for each append: a transaction costs as
   * much for one event as for fifty. A wait for it ({@link Progress}) ends the pause.
   */
  readonly gathers?: boolean;
  /**
   * It is given events as they are stored, personal parts encrypted: what it writes into rows stays unreadable when a person
   * is erased. The edge of the API decrypts them.
   */
  readonly readsSealed?: boolean;
  /** It is given events in quarantine too: it shows or proves what is in the log, and acts on nothing. */
  readonly seesQuarantined?: boolean;
  /** Of a subscriber that keeps rows and does nothing else: they can be rebuilt from the log while it goes on. */
  readonly keeps?: RowsOfProjection;
  handle(events: readonly RecordedEvent[], context: SubscriberContext): Promise<void>;
}

/** The rows of a projection, in the schema `views`. A rebuild calls the `handle` of the running instance: it keeps no memory. */
export interface RowsOfProjection {
  /** Tables that nobody else writes. */
  readonly tables: readonly string[];
  /** Raise it when `handle` makes other rows of the same events: the next start rebuilds them. */
  readonly foldVersion: number;
  /** Tables that it also writes and does not own: a rebuild leaves them as they are. */
  readonly alsoWrites?: readonly string[];
  /** It inserts and never looks up: its indexes are made after the rows. */
  readonly onlyInserts?: true;
  /** Tables and columns that a verification does not compare, since they number rows in the order of their arrival. */
  readonly numbered?: readonly string[];
}

/** A subscriber whose rows can be rebuilt. */
export type Projection = Subscriber & { readonly keeps: RowsOfProjection };

/** Every projection whose rows can be rebuilt, of all stages. Its own injection token. */
export abstract class Projections {
  abstract readonly all: readonly Projection[];
}

export interface SubscriberContext {
  /** Opens the transaction in which the checkpoint will be written, at the first call. Projections write through it. */
  transaction(): Promise<ViewTransaction>;
  /** Only rows are made, beside the live ones: what else follows from these events was done when they were new. */
  readonly isRebuild?: true;
  /** Aborts when the process stops or the instance is no longer the active one. */
  readonly signal: AbortSignal;
  /**
   * While it is behind: whether an event is known to be in the log, so that it need not be appended again. `false` says
   * nothing: append it as always.
   */
  readonly isKnown?: (event: Uuid) => boolean;
}

/** The transaction of a batch: its views and its checkpoint. Statements are done in the order in which they are given. */
export interface ViewTransaction {
  /** The rows, and of an UPDATE or DELETE `[rows, count]`. A round trip: only for what is decided by the answer. */
  query<R = unknown>(sql: string, values?: readonly unknown[]): Promise<R>;
  /**
   * Sent with the next question or the commit, which then throw what it fails with.
   * @param answered given the rows, where somebody needs them
   */
  write(sql: string, values: readonly unknown[], answered?: (rows: readonly Record<string, unknown>[]) => void): void;
  /** Called when it has ended. Where the answer to the commit is lost, it may be committed all the same. */
  onEnd(effect: (isCommitted: boolean) => void): void;
  /** The commit waits for the disk. Others do not: views follow from the log. */
  endure(): void;
}

/**
 * State that lives in memory and is folded from the log: integrations, rules, workflows, webhooks, tokens. The hot
 * path reads tables, never the database.
 */
export interface Table {
  readonly name: string;
  readonly reads: readonly EventType[];
  /** Set by the runner: an event could not be taken in, so what is not found here may exist all the same. */
  incomplete?: boolean;
  clear(): void;
  /** Called in log order. May wait, for instance for a secret that the event names. */
  apply(event: RecordedEvent): void | Promise<void>;
}

/** The answer to a lookup that found nothing. An incomplete table may lack what exists: clients must try again, not give up. */
export const missingFrom = (table: Table, refusal: Rejected): Rejected | Transient =>
  table.incomplete === true
    ? new Transient('table.incomplete', `the table ${table.name} could not process an event`)
    : refusal;

/** Waiting for a place in the log: read-your-writes after a command, and tests. Its own injection token. */
export abstract class Progress {
  /**
   * Resolves when the subscriber or table `name` has handled everything up to `position`, in whichever process it runs.
   * @throws Transient `subscriber.behind` after `timeoutMs` (default 5000).
   */
  abstract whenProcessed(name: string, position: bigint, timeoutMs?: number): Promise<void>;
}
