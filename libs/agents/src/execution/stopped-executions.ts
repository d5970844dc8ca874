import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Table } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';

/** Stops what this process is busy with when its execution ends from outside, so that a call in flight ends at once. */
export class StoppedExecutions implements Table {
  readonly name = followers.stoppedExecutions;
  readonly reads = ['agent.cancelled', 'agent.finished', 'agent.failed'] as const;
  private readonly watched = new Map<string, AbortController>();

  clear(): void {
    // What is under way here does not follow from the log.
  }

  apply(event: RecordedEvent): void {
    if (event.is(...this.reads)) this.watched.get(event.data.executionId)?.abort();
  }

  watch(executionId: string): AbortSignal {
    const controller = new AbortController();
    this.watched.set(executionId, controller);
    return controller.signal;
  }

  unwatch(executionId: string): void {
    this.watched.delete(executionId);
  }
}
