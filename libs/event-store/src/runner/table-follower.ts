import { setTimeout as delay } from 'node:timers/promises';

import { type Backoff, backoff } from '#libs/kernel/src/time/backoff.js';
import { messageOf } from '#libs/kernel/src/errors.js';
import type { Log } from '#libs/kernel/src/log.js';

import type { EventStore } from '../event-store.js';
import type { TableSet } from './fold-tables.js';
import type { FollowerState } from './follower-status.js';
import { Waiters } from './waiters.js';

/**
 * The tables of this process, folded from the start of the log over one shared subscription.
 *
 * States: catching_up → live ⇄ disconnected.
 */
export class TableFollower {
  readonly waiters = new Waiters('the tables of this process');
  state: FollowerState = 'catching_up';
  reason: string | undefined;
  progressAt = Date.now();
  private caughtUp: (() => void) | undefined;

  constructor(
    private readonly store: EventStore,
    private readonly tables: TableSet,
    private readonly log: Log,
    private readonly retries: Backoff,
  ) {}

  /** Resolves when the tables hold everything up to what was the head at the start. Follows on until `signal` aborts. */
  start(signal: AbortSignal): { readonly ready: Promise<void>; readonly ended: Promise<void> } {
    if (this.tables.types.length === 0) {
      this.state = 'live';
      return { ready: Promise.resolve(), ended: Promise.resolve() };
    }
    const ready = new Promise<void>((done) => (this.caughtUp = done));
    return { ready, ended: this.run(signal).finally(() => ((this.state = 'stopped'), this.caughtUp?.())) };
  }

  private async run(signal: AbortSignal): Promise<void> {
    this.tables.clear();
    for (let tries = 0; !signal.aborted;) {
      try {
        await this.follow(signal, () => (tries = 0));
      } catch (error) {
        if (signal.aborted) return;
        tries += 1;
        this.state = 'disconnected';
        this.reason = messageOf(error);
        this.log.warn({ error: this.reason }, 'the tables were disconnected from the log; reconnecting');
        await delay(backoff(tries, this.retries), undefined, { signal }).catch(() => undefined);
      }
    }
  }

  private async follow(signal: AbortSignal, progress: () => void): Promise<void> {
    const from = this.waiters.position < 0n ? 'start' : this.waiters.position;
    const items = this.store.subscribe({ from, filter: { types: this.tables.types }, batchSize: 2_000, signal });
    for await (const item of items) {
      if (item.kind === 'disconnected') {
        this.state = 'disconnected';
        this.reason = item.reason;
        continue;
      }
      if (item.kind === 'events')
        for (const event of item.events) {
          // After a failure inside a batch its first events come again.
          if (event.position <= this.waiters.position) continue;
          const waits = this.tables.apply(event, signal);
          if (waits) await waits;
          this.waiters.reach(event.position);
        }
      progress();
      this.waiters.reach(item.position);
      this.progressAt = Date.now();
      this.reason = undefined;
      if (item.kind === 'caught-up') {
        this.caughtUp?.();
        this.state = 'live';
      } else if (this.state === 'disconnected') this.state = 'catching_up';
    }
  }
}
