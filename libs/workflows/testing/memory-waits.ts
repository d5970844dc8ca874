import type { EventStore, RecordedEvent } from '#libs/event-store/src/event-store.js';
import { typeMatcher } from '#libs/events/src/patterns.js';
import type { Clock } from '#libs/kernel/src/clock.js';
import type { Uuid } from '#libs/kernel/src/ids.js';

import { AnswerWaits } from '../src/waits/answer-waits.subscriber.js';
import type { Wait } from '../src/waits/wait-index.js';
import { LookBack, type Span, WaitRows } from '../src/waits/wait-rows.js';

class MemoryLookBack extends LookBack {
  constructor(private readonly store: EventStore) {
    super();
  }

  async *between({ orgId, types, after, upTo }: Span & { readonly after: bigint }) {
    const { events } = await this.store.readAll({ after, limit: 100_000 });
    const isOne = typeMatcher(types);
    yield events.filter(({ type, metadata, position }) => position <= upTo && metadata.orgId === orgId && isOne(type));
  }

  async causeOf({ position, metadata }: RecordedEvent): Promise<bigint> {
    const { events } = await this.store.readAll({ from: 0n, limit: 100_000 });
    return events.find(({ id }) => id === metadata.$causationId)?.position ?? position;
  }
}

/** The rows and the checkpoint: a transaction takes both, or neither. */
class MemoryRows extends WaitRows {
  committed = new Map<Uuid, Wait>();
  pending: readonly (() => void)[] = [];

  async *all() {
    yield await Promise.resolve([...this.committed.values()]);
  }

  save(_tx: unknown, added: readonly Wait[], removed: readonly Uuid[]) {
    this.pending = [
      () => added.forEach((wait) => this.committed.set(wait.id, wait)),
      () => removed.forEach((id) => this.committed.delete(id)),
    ];
    return Promise.resolve();
  }
}

/** Answers waits over a log in memory, as the runner has it done: batch by batch, with a checkpoint. */
export class MemoryAnswers {
  private readonly rows = new MemoryRows();
  private readonly past: LookBack;
  private subscriber: AnswerWaits;
  private checkpoint: bigint | undefined;

  constructor(
    private readonly store: EventStore,
    private readonly clock: Clock,
  ) {
    this.past = new MemoryLookBack(store);
    this.subscriber = this.another();
  }

  get openWaits(): number {
    return this.rows.committed.size;
  }

  /** Handles the next events; false at the end of the log. @param dies whether the process dies before the commit. */
  async next(limit: number, dies = false): Promise<boolean> {
    const { events } = await this.store.readAll({
      ...(this.checkpoint === undefined ? { from: 0n } : { after: this.checkpoint }),
      limit,
    });
    if (events.length === 0) return false;
    this.rows.pending = [];
    try {
      const { signal } = new AbortController();
      await this.subscriber.handle(events, { signal, transaction: () => Promise.resolve({} as never) });
    } catch (error) {
      this.subscriber = this.another();
      throw error;
    }
    if (dies) this.subscriber = this.another();
    else {
      for (const write of this.rows.pending) write();
      this.checkpoint = events.at(-1)!.position;
    }
    return true;
  }

  /** Another process takes over, which knows what is committed. */
  restart(): void {
    this.subscriber = this.another();
  }

  async catchUp(): Promise<void> {
    while (await this.next(1_000));
  }

  private another(): AnswerWaits {
    return new AnswerWaits(this.store, this.clock, this.rows, this.past);
  }
}
