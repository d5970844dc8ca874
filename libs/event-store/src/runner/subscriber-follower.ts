import { setTimeout as delay } from 'node:timers/promises';

import { backoff } from '#libs/kernel/src/time/backoff.js';
import { messageOf, Transient } from '#libs/kernel/src/errors.js';

import { type RecordedEvent, type SubscriptionItem, Unreadable } from '../event-store.js';
import type { Subscriber, SubscriberContext } from '../subscriber.js';
import { CheckpointMoved, type CheckpointMove, Unstorable } from './checkpoints.js';
import { primeTables, TableSet } from './fold-tables.js';
import type { FollowerParts } from './follower-parts.js';
import type { FollowerState } from './follower-status.js';
import { Gathering } from './gathering.js';
import { handleOnce } from './handle-once.js';
import { parkEvent, parkUnreadable, retryParked } from './parking.js';
import { Waiters } from './waiters.js';

/** So often is a batch tried, and then each of its events, before an event is parked. */
const MAX_TRIES = 3;
/** A checkpoint without views is written this often at most: under load it would cost more than it saves. */
const LAZY_SAVE_MS = 1_000;
/** The signal that asks for a retry may be lost. */
const LOOK_FOR_RETRIES_MS = 30_000;
const BATCH = 500;

/** Thrown out of the subscription, so that the tables are primed again and reading starts after what is handled. */
class StartOver extends Error {}

/**
 * The active instance of one subscriber.
 *
 * States: waiting (another process is active) → catching_up → live; retrying after an error; disconnected while the log
 * does not answer. `handled` runs ahead of `committed` only by batches that wrote no views.
 */
export class SubscriberFollower {
  readonly waiters: Waiters;
  state: FollowerState = 'waiting';
  reason: string | undefined;
  progressAt = Date.now();
  active = false;
  private readonly tables: TableSet;
  private handled: bigint | undefined;
  private committed: bigint | undefined;
  private savedAt = 0;
  /** Up to here events are handled one by one, to find the one that fails. */
  private oneByOneUpTo = -1n;
  private failing = { position: -1n, tries: 0 };
  /** Something was met that nobody can read. From then on each event is read here first: most logs never need it. */
  private looksFirst = false;
  private exclusive: Promise<unknown> = Promise.resolve();
  /** Ends the subscription under way, to start over. */
  private interrupt: (() => void) | undefined;
  private readonly gathering: Gathering;

  constructor(
    readonly subscriber: Subscriber,
    private readonly parts: FollowerParts,
  ) {
    this.gathering = new Gathering(parts.gatherMs);
    this.waiters = new Waiters(subscriber.name, () => this.gathering.hurry());
    const { log, checkpoints, retries } = parts;
    this.tables = new TableSet(subscriber.tables ?? [], log, (error) => checkpoints.classify(error), retries);
  }

  /** While this process holds the lock: follows the log until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    this.active = true;
    this.handled = this.committed = undefined;
    const lazySave = setInterval(() => void this.saveIfIdle(), LAZY_SAVE_MS);
    const lookForRetries = setInterval(() => void this.lookForRetries(), LOOK_FOR_RETRIES_MS);
    try {
      for (let tries = 0; !signal.aborted;) {
        const before: bigint | undefined = this.handled;
        try {
          await this.follow(signal);
        } catch (error) {
          if (signal.aborted) break;
          if (this.handled !== before) tries = 0;
          if (error instanceof StartOver) continue;
          tries += 1;
          await this.pause(tries, error, signal);
        }
      }
      await this.saveNow();
    } finally {
      clearInterval(lazySave);
      clearInterval(lookForRetries);
      this.active = false;
      this.state = 'waiting';
    }
  }

  /** Someone waits for the stored checkpoint: write it as soon as `position` is handled. */
  async saveFrom(position: bigint, timeoutMs: number): Promise<void> {
    await this.waiters.until(position, timeoutMs);
    await this.saveNow();
  }

  /** Parked events are to be tried again. */
  retryParked(): void {
    this.interrupt?.();
  }

  private async pause(tries: number, error: unknown, signal: AbortSignal): Promise<void> {
    const known = this.parts.checkpoints.classify(error);
    this.state = 'retrying';
    this.reason = messageOf(known);
    const fields = { subscriber: this.subscriber.name, error: known instanceof Transient ? this.reason : known };
    if (known instanceof CheckpointMoved) this.handled = undefined;
    this.parts.log.warn(fields, 'a subscriber failed and will retry');
    await delay(backoff(tries, this.parts.retries), undefined, { signal }).catch(() => undefined);
  }

  private async follow(signal: AbortSignal): Promise<void> {
    const { store, checkpoints, log } = this.parts;
    const { name, reads, batchSize = BATCH } = this.subscriber;
    if (this.handled === undefined) this.handled = this.committed = await checkpoints.load(name);
    this.state = 'catching_up';
    const restart = new AbortController();
    this.interrupt = () => restart.abort();
    await primeTables(store, this.tables, this.handled, signal);
    // What `handle` does to the tables when it is given an old event is out of order.
    if (await retryParked(this.parts, this.subscriber, signal))
      await primeTables(store, this.tables, this.handled, signal);
    if (this.handled !== undefined) this.waiters.reach(this.handled);
    const items = store.subscribe({
      from: this.handled ?? 'start',
      ...(reads === 'all' ? {} : { filter: { types: reads } }),
      batchSize,
      signal: AbortSignal.any([signal, restart.signal]),
    });
    for await (const item of items) {
      if (signal.aborted) return;
      const began = performance.now();
      if (item.kind === 'disconnected') {
        this.state = 'disconnected';
        this.reason = item.reason;
        log.warn({ subscriber: name, reason: item.reason }, 'a subscriber was disconnected from the log; reconnecting');
      } else await this.exclusively(() => this.take(item, signal));
      if (this.mayGather(item, batchSize)) await this.gathering.pause(began, signal);
    }
  }

  /** Not while it is behind, or somebody waits. */
  private mayGather(item: SubscriptionItem, batchSize: number): boolean {
    if (this.subscriber.gathers !== true || this.state !== 'live' || this.waiters.someWait) return false;
    return item.kind === 'events' && item.events.length < batchSize;
  }

  private async take(item: Exclude<SubscriptionItem, { kind: 'disconnected' }>, signal: AbortSignal): Promise<void> {
    if (item.kind === 'events') {
      // At least once is what the log promises; tables must not see an event twice.
      const { handled } = this;
      const fresh = handled === undefined ? item.events : item.events.filter(({ position }) => position > handled);
      const given = { signal, ...(item.isKnown && { isKnown: item.isKnown }) };
      if (fresh.length > 0 && fresh[0]!.position > this.oneByOneUpTo) await this.handle(fresh, item.position, given);
      else {
        for (const event of fresh) await this.handle([event], event.position, given);
        this.reached(item.position);
      }
    } else this.reached(item.position);
    if (item.kind === 'caught-up') this.state = 'live';
    else if (this.state !== 'live') this.state = 'catching_up';
    this.reason = undefined;
    if (this.handled !== this.committed && Date.now() - this.savedAt >= LAZY_SAVE_MS) await this.save();
  }

  private async handle(
    all: readonly RecordedEvent[],
    to: bigint,
    given: Omit<SubscriberContext, 'transaction'>,
  ): Promise<void> {
    const { checkpoints, quarantine } = this.parts;
    const { name, seesQuarantined } = this.subscriber;
    const passed = seesQuarantined ? all : quarantine.without(all);
    const events = this.looksFirst ? await parkUnreadable(this.parts, name, passed) : passed;
    const move = { name, from: this.committed, to };
    try {
      const wrote = await handleOnce(checkpoints, this.subscriber, events, move, given);
      if (wrote) this.committed = to;
    } catch (error) {
      const known = checkpoints.classify(error);
      if (given.signal.aborted || known instanceof Transient || known instanceof CheckpointMoved) throw known;
      if (known instanceof Unreadable && !this.looksFirst) {
        this.looksFirst = true;
        throw new StartOver();
      }
      await this.failed(events, known, move);
      throw new StartOver();
    }
    this.reached(to);
    if (this.failing.tries > 0) this.failing = { position: -1n, tries: 0 };
  }

  /**
   * A bug. Three tries for the batch, then three for each of its events, then the event is parked. What cannot be stored is
   * tried once: it costs the events behind it no time.
   */
  private async failed(events: readonly RecordedEvent[], error: unknown, move: CheckpointMove): Promise<void> {
    const { log } = this.parts;
    const event = events[0]!;
    const tries = this.failing.position === event.position ? this.failing.tries + 1 : 1;
    this.failing = { position: event.position, tries };
    this.state = 'retrying';
    this.reason = messageOf(error);
    log.error(
      { subscriber: this.subscriber.name, position: String(event.position), tries, error },
      'a subscriber failed',
    );
    if (tries < MAX_TRIES && !(error instanceof Unstorable)) {
      await delay(backoff(tries, this.parts.retries));
      return;
    }
    this.failing = { position: -1n, tries: 0 };
    if (events.length > 1) this.oneByOneUpTo = events.at(-1)!.position;
    else await this.park(event, error, tries, { ...move, to: event.position });
  }

  private async park(event: RecordedEvent, error: unknown, tries: number, move: CheckpointMove): Promise<void> {
    await parkEvent(this.parts, event, { error, tries, move });
    this.committed = move.to;
    this.reached(move.to);
  }

  private async lookForRetries(): Promise<void> {
    const asked = await this.parts.checkpoints.parkedToRetry(this.subscriber.name).catch(() => []);
    if (asked.length > 0) this.retryParked();
  }

  private reached(position: bigint): void {
    if (this.handled === undefined || position > this.handled) this.handled = position;
    this.progressAt = Date.now();
    this.waiters.reach(position);
  }

  private async saveIfIdle(): Promise<void> {
    if (this.handled === this.committed || Date.now() - this.savedAt < LAZY_SAVE_MS) return;
    await this.saveNow();
  }

  private async saveNow(): Promise<void> {
    await this.exclusively(() => this.save()).catch((error: unknown) => {
      this.parts.log.debug({ subscriber: this.subscriber.name, error: messageOf(error) }, 'a checkpoint was not saved');
    });
  }

  private async save(): Promise<void> {
    if (!this.active || this.handled === undefined || this.handled === this.committed) return;
    const to = this.handled;
    await this.parts.checkpoints.save({ name: this.subscriber.name, from: this.committed, to });
    this.committed = to;
    this.savedAt = Date.now();
  }

  /** One thing at a time: a batch, a save, a retry. */
  private exclusively<T>(work: () => Promise<T>): Promise<T> {
    const result = this.exclusive.then(work);
    this.exclusive = result.catch(() => undefined);
    return result;
  }
}
