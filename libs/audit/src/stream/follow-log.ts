import { setImmediate as turn } from 'node:timers/promises';

import { matcherOf } from '#libs/event-index/src/event-matcher.js';
import type { EventQuery } from '#libs/event-index/src/event-query.js';
import type { EventReader } from '#libs/event-index/src/event-reader.adapter.js';
import type { EventStore, RecordedEvent } from '#libs/event-store/src/event-store.js';

import { eventJson } from '../event-json.js';
import type { EventStream } from './event-stream.js';

/** Small, since a client gets time to read between two of them. */
const BATCH = 100;

/** One client's way through the log. */
export class FollowLog {
  private at: bigint;

  constructor(
    private readonly store: EventStore,
    private readonly events: Pick<EventReader, 'settle' | 'all' | 'markOf'>,
    private readonly query: EventQuery,
    start: bigint,
    private readonly stream: EventStream,
  ) {
    this.at = start;
  }

  /** How far the log was looked through. */
  get position(): bigint {
    return this.at;
  }

  /** Sends what matches, first the past and then what is recorded, until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    await this.readIndex(signal);
    const { types } = this.query;
    const filter = types.length > 0 && !types.some((type) => type.includes('*')) ? { filter: { types } } : {};
    const matches = matcherOf(this.query);
    let isLive = false;
    for await (const item of this.store.subscribe({ from: this.at, batchSize: BATCH, signal, ...filter })) {
      if (item.kind === 'caught-up') isLive = true;
      if (item.kind === 'events')
        for (const event of item.events) {
          if (!matches(event)) continue;
          // The past waits for the client. What is new waits for one turn of the process, so that a burst gets through.
          if (!this.stream.hasRoom) await (isLive ? turn() : this.stream.room());
          if (signal.aborted) return;
          this.send(event);
        }
      if (item.kind !== 'disconnected') this.at = item.position;
    }
  }

  /** A narrow search in a long past: the index finds it faster than the log. */
  private async readIndex(signal: AbortSignal): Promise<void> {
    const head = await this.store.head();
    if (this.at >= head || !(await this.events.settle())) return;
    const { toPosition } = this.query;
    const end = toPosition !== undefined && toPosition < head ? toPosition : head;
    for await (const batch of this.events.all({ ...this.query, after: this.at, toPosition: end })) {
      for (const event of batch) {
        await this.stream.room();
        if (signal.aborted) return;
        this.send(event);
      }
    }
    this.at = head;
  }

  private send(event: RecordedEvent): void {
    this.stream.offer(event.position, () => eventJson(event, this.events.markOf(event.id)));
    if (event.position > this.at) this.at = event.position;
  }
}
