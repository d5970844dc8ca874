import {
  type AllPage,
  type AppendResult,
  type EventToAppend,
  EventStore,
  type ExpectedRevision,
  type ReadAllOptions,
  type ReadStreamOptions,
  type RecordedEvent,
  type SubscribeOptions,
  type SubscriptionItem,
  WrongRevision,
} from '#libs/event-store/src/event-store.js';
import { isEventType } from '#libs/events/src/catalogue.js';
import { parseJson } from '#libs/kernel/src/text/exact-json.js';

import type { Metrics } from './metrics.js';

/** The log, with its appends counted and timed. Everything else passes through. */
export class MeteredEventStore extends EventStore {
  constructor(
    private readonly store: EventStore,
    private readonly metrics: Metrics,
  ) {
    super();
  }

  async append(stream: string, events: readonly EventToAppend[], expected: ExpectedRevision): Promise<AppendResult> {
    const began = performance.now();
    try {
      const result = await this.store.append(stream, events, expected);
      this.metrics.appended(result.repeated ? 'repeated' : 'stored', (performance.now() - began) / 1000);
      if (!result.repeated) for (const event of events) this.count(event);
      return result;
    } catch (error) {
      this.metrics.appended(error instanceof WrongRevision ? 'conflict' : 'failed', (performance.now() - began) / 1000);
      throw error;
    }
  }

  private count({ type, data }: EventToAppend): void {
    this.metrics.recorded(isEventType(type) ? type : 'custom');
    if (type === 'webhook.delivered') this.metrics.attempted('delivered');
    else if (type === 'webhook.failed')
      this.metrics.attempted((parseJson(data) as { failureClass: string }).failureClass);
  }

  readStream(stream: string, options?: ReadStreamOptions): Promise<readonly RecordedEvent[]> {
    return this.store.readStream(stream, options);
  }
  readAll(options: ReadAllOptions): Promise<AllPage> {
    return this.store.readAll(options);
  }
  subscribe(options: SubscribeOptions): AsyncIterable<SubscriptionItem> {
    return this.store.subscribe(options);
  }
  head(): Promise<bigint> {
    return this.store.head();
  }
  truncatedBefore(stream: string): Promise<bigint> {
    return this.store.truncatedBefore(stream);
  }

  truncateBefore(stream: string, revision: bigint): Promise<void> {
    return this.store.truncateBefore(stream, revision);
  }
  ping(): Promise<void> {
    return this.store.ping();
  }
  close(): Promise<void> {
    return this.store.close();
  }
}
