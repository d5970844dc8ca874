import { backoff } from '#libs/kernel/src/time/backoff.js';
import { Transient } from '#libs/kernel/src/errors.js';

import { matcher } from '../../event-filter.js';
import type { SubscribeOptions, SubscriptionItem } from '../../event-store.js';
import type { Watcher } from '../news.js';
import type { CatchUpPage, SharedPages, SharedReader } from '../shared-pages.js';
import type { Feed } from './feed.js';

const BACKOFF = { first: 50, max: 1_000 };

/**
 * One subscription. While it is behind what memory holds it reads pages ({@link SharedPages}); then it
 * goes on from the shared tail, and falls back to pages when its consumer is too slow for it. States: behind → live →
 * behind; disconnected is said once for each loss, whichever state it meets.
 */
export class Subscription {
  private position = 0n;
  private isLive = false;
  private outages: number;
  private readonly watcher: Watcher;
  private readonly reader: SharedReader;

  constructor(
    private readonly feed: Feed,
    private readonly head: () => Promise<bigint>,
    pages: SharedPages,
    private readonly options: SubscribeOptions,
  ) {
    this.outages = feed.outages;
    this.watcher = feed.news.watch();
    this.reader = pages.reader(options);
  }

  async *items(): AsyncGenerator<SubscriptionItem, void> {
    const { signal, filter, batchSize = 500 } = this.options;
    const interrupt = (): void => this.watcher.interrupt();
    signal.addEventListener('abort', interrupt);
    try {
      yield* this.start();
      const matches = matcher(filter);
      while (!this.isOver()) {
        const { version } = this.feed.news;
        if (this.outages !== this.feed.outages) {
          this.outages = this.feed.outages;
          this.isLive = false;
          yield { kind: 'disconnected', reason: this.feed.down ?? 'the connection was lost for a moment' };
          continue;
        }
        const ready = this.feed.tail.after(this.position, batchSize, matches);
        if (ready) this.reader.leave();
        if (!ready) yield* this.readPage();
        else if (ready.position > this.position) yield* this.deliver(ready);
        else if (!this.isLive && this.feed.down === undefined && this.position >= this.feed.head) {
          this.isLive = true;
          yield { kind: 'caught-up', position: this.position };
        } else await this.watcher.news(version);
      }
    } finally {
      signal.removeEventListener('abort', interrupt);
      this.watcher.leave();
      this.reader.leave();
    }
  }

  /** Asks for the head once: what was there at the start is delivered before the first `caught-up`. */
  private async *start(): AsyncGenerator<SubscriptionItem, void> {
    const { from } = this.options;
    const head = yield* this.persist(this.head);
    if (head === undefined) return;
    this.feed.noticed(head);
    this.position = from === 'end' ? head : from === 'start' ? 0n : from;
  }

  private async *readPage(): AsyncGenerator<SubscriptionItem, void> {
    this.isLive = false;
    const page = yield* this.persist(() => this.reader.page(this.position));
    if (!page) return;
    this.feed.noticed(page.position);
    if (page.position > this.position) yield* this.deliver(page);
  }

  private *deliver({ events, position, isKnown }: CatchUpPage): Generator<SubscriptionItem, void> {
    this.position = position;
    if (events.length > 0) yield { kind: 'events', events, position, ...(isKnown && { isKnown }) };
    else yield { kind: 'checkpoint', position };
  }

  /** Tries until it succeeds; `undefined` if the subscription is over first. */
  private async *persist<T>(attempt: () => Promise<T>): AsyncGenerator<SubscriptionItem, T | undefined> {
    let said = false;
    for (let tries = 1; !this.isOver(); tries++) {
      try {
        return await attempt();
      } catch (error) {
        if (!(error instanceof Transient)) throw error;
        if (!said && !this.isOver()) {
          said = true;
          // The feed counts the same outage: it is said once.
          this.outages = Math.max(this.outages, this.feed.outages);
          yield { kind: 'disconnected', reason: error.message };
        }
        await this.pause(backoff(tries, BACKOFF));
      }
    }
    return undefined;
  }

  private async pause(milliseconds: number): Promise<void> {
    const timer = setTimeout(() => this.watcher.interrupt(), milliseconds);
    await this.watcher.news(this.feed.news.version);
    clearTimeout(timer);
  }

  private isOver(): boolean {
    return this.options.signal.aborted || this.feed.closed;
  }
}
