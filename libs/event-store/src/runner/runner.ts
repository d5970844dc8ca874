import { setMaxListeners } from 'node:events';

import type { Backoff } from '#libs/kernel/src/time/backoff.js';
import { type Clock, SystemClock } from '#libs/kernel/src/clock.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { type Log, silentLog } from '#libs/kernel/src/log.js';

import type { EventStore } from '../event-store.js';
import { Progress, type Subscriber, type Table } from '../subscriber.js';
import type { Checkpoints, ParkedEvent } from './checkpoints.js';
import { TableSet } from './fold-tables.js';
import type { FollowerStatus } from './follower-status.js';
import { GATHER_MS } from './gathering.js';
import { Quarantine } from './quarantine.table.js';
import type { Locks, Signals } from './locks.js';
import { SubscriberFollower } from './subscriber-follower.js';
import { TableFollower } from './table-follower.js';
import { behind } from './waiters.js';
import { checkWiring } from './wiring.js';

export interface RunnerParts {
  readonly store: EventStore;
  readonly checkpoints: Checkpoints;
  readonly locks: Locks;
  readonly signals: Signals;
  readonly clock?: Clock;
  readonly log?: Log;
  /** How long what failed waits before the next try; default {@link RETRIES}. */
  readonly retries?: Backoff;
  /** How often a subscriber that gathers begins a batch at most; default {@link GATHER_MS}. */
  readonly gatherMs?: number;
}

export interface Followers {
  /** Each competes for being the active instance. A process without the worker role has none. */
  readonly subscribers: readonly Subscriber[];
  /** Kept in every process. */
  readonly tables: readonly Table[];
}

/** Somebody waits: `name position`. */
const WANTED = 'millrace_wanted';
/** A checkpoint was stored: `name position`. */
const STORED = 'millrace_stored';
/** Parked events of `name` are to be tried again. */
const RETRY = 'millrace_retry';

/** Whatever comes back is used again within five seconds. */
const RETRIES: Backoff = { first: 100, max: 5_000 };
const DEFAULT_TIMEOUT_MS = 5_000;
const POLL_MS = 250;

/** The only loop: everything that follows the log in this process. Also answers for progress over all processes. */
export class Runner extends Progress {
  /** Must be among the tables, which keep it. */
  readonly quarantine = new Quarantine();
  private readonly stopping = new AbortController();
  private readonly followers = new Map<string, SubscriberFollower>();
  private tableNames = new Set<string>();
  private tableSet: TableSet | undefined;
  private tableFollower: TableFollower | undefined;
  private ended: Promise<unknown> = Promise.resolve();
  private readonly unlisten: (() => void)[] = [];
  private readonly log: Log;

  constructor(private readonly parts: RunnerParts) {
    super();
    this.log = parts.log ?? silentLog;
  }

  /**
   * Resolves when the tables hold everything that was in the log at the start; the subscribers begin then.
   * @throws Error for a name that is taken, or a subscriber that does not read what its tables need.
   */
  async start({ subscribers, tables }: Followers): Promise<void> {
    checkWiring(subscribers, tables);
    const { store, checkpoints, locks, signals, clock = new SystemClock() } = this.parts;
    const { retries = RETRIES, gatherMs = GATHER_MS } = this.parts;
    const { signal } = this.stopping;
    // Every follower listens for the end.
    setMaxListeners(0, signal);
    this.tableNames = new Set(tables.map(({ name }) => name));
    this.tableSet = new TableSet(tables, this.log, (error) => checkpoints.classify(error), retries);
    this.tableFollower = new TableFollower(store, this.tableSet, this.log, retries);
    const { ready, ended } = this.tableFollower.start(signal);
    this.ended = ended;
    for (const subscriber of subscribers)
      this.followers.set(
        subscriber.name,
        new SubscriberFollower(subscriber, {
          store,
          checkpoints,
          clock,
          log: this.log,
          quarantine: this.quarantine,
          retries,
          gatherMs,
        }),
      );
    this.unlisten.push(
      signals.listen(WANTED, (text) => this.wanted(text)),
      signals.listen(RETRY, (name) => this.followers.get(name)?.retryParked()),
    );
    await ready;
    if (signal.aborted) return;
    const held = [...this.followers].map(([name, follower]) => locks.hold(name, signal, (lost) => follower.run(lost)));
    this.ended = Promise.all([ended, ...held]);
  }

  /** Lets each follower finish its batch and write its checkpoint. */
  async stop(): Promise<void> {
    this.stopping.abort();
    for (const unlisten of this.unlisten.splice(0)) unlisten();
    await this.ended;
  }

  override async whenProcessed(name: string, position: bigint, timeoutMs = DEFAULT_TIMEOUT_MS): Promise<void> {
    if (position <= 0n) return;
    if (this.tableNames.has(name)) return this.tableFollower!.waiters.until(position, timeoutMs);
    const follower = this.followers.get(name);
    // What was handled here while this process was active stays handled, whichever process is active now.
    if (follower && (follower.active || follower.waiters.position >= position))
      return follower.waiters.until(position, timeoutMs);
    return this.whenStored(name, position, timeoutMs);
  }

  /** Asks the active instance to handle a parked event again. @throws Rejected `subscriber.not_parked` */
  async retryParked(name: string, position: bigint): Promise<void> {
    if (!(await this.parts.checkpoints.requestRetry(name, position)))
      throw new Rejected('not_found', 'subscriber.not_parked', `${name} has no parked event at position ${position}.`);
    this.parts.signals.send(RETRY, name);
  }

  parked(name?: string): Promise<readonly ParkedEvent[]> {
    return this.parts.checkpoints.parked(name);
  }

  /** Every subscriber and table that this process knows. */
  async status(): Promise<readonly FollowerStatus[]> {
    const { store, checkpoints } = this.parts;
    const [head, stored, parked] = await Promise.all([store.head(), checkpoints.all(), checkpoints.parkedCounts()]);
    const now = Date.now();
    const lag = (position: bigint, since: number): number => (position >= head ? 0 : Math.max(0, (now - since) / 1000));
    const subscribers = [...this.followers.values()].map((follower): FollowerStatus => {
      const { name } = follower.subscriber;
      const row = stored.get(name);
      const position = follower.active ? follower.waiters.position : (row?.position ?? -1n);
      const since = follower.active ? follower.progressAt : (row?.updatedAt.getTime() ?? now);
      return {
        name,
        kind: 'subscriber',
        active: follower.active,
        state: follower.state,
        position,
        head,
        lagSeconds: lag(position, since),
        ...(follower.reason !== undefined && { reason: follower.reason }),
        parked: parked.get(name) ?? 0,
      };
    });
    const follower = this.tableFollower;
    const tables = [...this.tableNames].map((name): FollowerStatus => {
      const { position } = follower!.waiters;
      return {
        name,
        kind: 'table',
        active: true,
        state: this.tableSet!.isIncomplete(name) ? 'incomplete' : follower!.state,
        position,
        head,
        lagSeconds: lag(position, follower!.progressAt),
        ...(follower!.reason !== undefined && { reason: follower!.reason }),
        parked: this.tableSet!.failuresOf(name),
      };
    });
    return [...subscribers, ...tables];
  }

  /** Active in another process, or about to be: that one is asked to store its checkpoint, which is then looked up. */
  private async whenStored(name: string, position: bigint, timeoutMs: number): Promise<void> {
    const { checkpoints, signals } = this.parts;
    const deadline = Date.now() + timeoutMs;
    let wake: (() => void) | undefined;
    const unlisten = signals.listen(STORED, (text) => {
      const [stored, at] = text.split(' ');
      if (stored === name && BigInt(at!) >= position) wake?.();
    });
    try {
      for (;;) {
        const here = this.followers.get(name);
        if (here?.active) return await here.waiters.until(position, Math.max(1, deadline - Date.now()));
        const stored = await checkpoints.load(name);
        if (stored !== undefined && stored >= position) return;
        if (Date.now() >= deadline) throw behind(name, position, timeoutMs);
        signals.send(WANTED, `${name} ${position}`);
        await new Promise<void>((done) => {
          const timer = setTimeout(done, Math.min(POLL_MS, Math.max(1, deadline - Date.now())));
          wake = () => {
            clearTimeout(timer);
            done();
          };
        });
      }
    } finally {
      unlisten();
    }
  }

  private wanted(text: string): void {
    const [name, at] = text.split(' ');
    const follower = this.followers.get(name!);
    if (!follower?.active) return;
    const position = BigInt(at!);
    follower.saveFrom(position, DEFAULT_TIMEOUT_MS).then(
      () => this.parts.signals.send(STORED, `${name} ${position}`),
      () => undefined,
    );
  }
}
