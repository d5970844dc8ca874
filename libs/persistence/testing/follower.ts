import type { DataSource } from 'typeorm';

import type { EventStore } from '#libs/event-store/src/event-store.js';
import type { Subscriber } from '#libs/event-store/src/subscriber.js';

import { inTransaction } from '../src/transaction/in-transaction.adapter.js';

/**
 * Lets subscribers handle what is new for them, as the runner does, one call at a time: batches in a transaction with a
 * checkpoint, tables folded from the log up to it. Every call is as after a restart.
 */
export class Follower {
  private readonly checkpoints = new Map<string, bigint>();

  constructor(
    private readonly store: EventStore,
    private readonly database: DataSource,
  ) {}

  /** Pretends that a subscriber has handled everything up to `position`. */
  skipTo(name: string, position: bigint): void {
    this.checkpoints.set(name, position);
  }

  /** The position up to which a subscriber has handled everything. */
  handled(name: string): bigint {
    return this.checkpoints.get(name) ?? 0n;
  }

  /** Handles once more what came after `position`, as after a crash or a rebuild. */
  async again(subscriber: Subscriber, position = 0n): Promise<void> {
    this.skipTo(subscriber.name, position);
    await this.run(subscriber);
  }

  /** @param crash loses the transaction of the first batch, after whatever was appended, and ends there. */
  async run(subscriber: Subscriber, crash = false): Promise<void> {
    const { name, reads, tables = [] } = subscriber;
    const done = (): bigint => this.handled(name);
    for (const table of tables) {
      table.clear();
      for await (const event of this.all(0n)) if (event.position <= done()) await table.apply(event);
    }
    for (;;) {
      const { events, position, end } = await this.store.readAll({ after: done(), limit: 100 });
      if (events.length === 0 && end) return;
      if (events.length === 0) {
        this.checkpoints.set(name, position);
        continue;
      }
      const read = reads === 'all' ? events : events.filter(({ type }) => (reads as readonly string[]).includes(type));
      const lost = new Error('crash');
      await inTransaction(this.database, async (tx) => {
        const context = { transaction: () => Promise.resolve(tx), signal: new AbortController().signal };
        if (read.length > 0) await subscriber.handle(read, context);
        if (crash) throw lost;
      }).catch((error: unknown) => {
        if (error !== lost) throw error;
      });
      if (crash) return;
      this.checkpoints.set(name, events.at(-1)!.position);
    }
  }

  private async *all(after: bigint) {
    for (;;) {
      const page = await this.store.readAll({ after, limit: 1_000 });
      yield* page.events;
      if (page.end) return;
      after = page.position;
    }
  }
}
