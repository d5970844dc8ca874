import type { EventStore, RecordedEvent, SubscribeOptions, SubscriptionItem } from '../event-store.js';

/** A subscription whose items are collected, with a way to wait for what is expected of them instead of sleeping. */
export class Follower {
  readonly items: SubscriptionItem[] = [];
  readonly events: RecordedEvent[] = [];
  /** How far it has been told the log was looked through. */
  position = -1n;
  /** Settles when the iteration has ended. */
  readonly ended: Promise<void>;
  private readonly controller = new AbortController();
  private readonly watchers = new Set<() => void>();
  private failure: unknown;

  constructor(
    store: EventStore,
    options: Omit<SubscribeOptions, 'signal'>,
    private readonly onItem: (item: SubscriptionItem) => Promise<void> | void = () => undefined,
  ) {
    this.ended = this.follow(store, { ...options, signal: this.controller.signal });
  }

  count(kind: SubscriptionItem['kind']): number {
    return this.items.filter((item) => item.kind === kind).length;
  }

  /** Resolves when `condition` holds; rejects with what has been seen so far if it does not within `milliseconds`. */
  until(what: string, condition: (follower: this) => boolean, milliseconds = 240_000): Promise<void> {
    return new Promise((resolve, reject) => {
      const check = (): void => {
        if (this.failure === undefined && !condition(this)) return;
        clearTimeout(timer);
        this.watchers.delete(check);
        if (this.failure === undefined) resolve();
        else reject(new Error('the subscription failed', { cause: this.failure }));
      };
      const timer = setTimeout(() => {
        this.watchers.delete(check);
        const kinds = this.items.slice(-5).map(({ kind }) => kind);
        reject(
          new Error(
            `not seen in ${milliseconds} ms: ${what}; ${this.events.length} events, last items ${kinds.join(', ')}`,
          ),
        );
      }, milliseconds);
      this.watchers.add(check);
      check();
    });
  }

  untilEvents(count: number, milliseconds?: number): Promise<void> {
    return this.until(`${count} events`, ({ events }) => events.length >= count, milliseconds);
  }

  untilCaughtUp(times = 1): Promise<void> {
    return this.until('caught-up', () => this.count('caught-up') >= times);
  }

  async stop(): Promise<void> {
    this.controller.abort();
    await this.ended;
  }

  private async follow(store: EventStore, options: SubscribeOptions): Promise<void> {
    try {
      for await (const item of store.subscribe(options)) {
        this.items.push(item);
        if (item.kind === 'events') this.events.push(...item.events);
        if (item.kind !== 'disconnected') this.position = item.position;
        for (const check of [...this.watchers]) check();
        await this.onItem(item);
      }
    } catch (error) {
      this.failure = error;
      for (const check of [...this.watchers]) check();
    }
  }
}
