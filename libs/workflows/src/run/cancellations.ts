import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Table } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';

/** Stops a run that this process is busy with when it is cancelled, so that a slow step ends at once. */
export class Cancellations implements Table {
  readonly name = followers.cancellations;
  readonly reads = ['run.cancelled'] as const;
  private readonly watched = new Map<string, AbortController>();

  clear(): void {
    // What is under way here does not follow from the log.
  }

  apply(event: RecordedEvent): void {
    if (event.is('run.cancelled')) this.watched.get(event.data.runId)?.abort();
  }

  watch(runId: string): AbortSignal {
    const controller = new AbortController();
    this.watched.set(runId, controller);
    return controller.signal;
  }

  unwatch(runId: string): void {
    this.watched.delete(runId);
  }
}
