import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Table } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';

/** Stops a run that this process is busy with when it is cancelled, so that a slow step ends at once. */
export class Cancellations implements Table {
  readonly name = followers.cancellations;
  readonly reads = ['run.cancelled', 'run.finally_started'] as const;
  private readonly watched = new Map<string, AbortController>();

  clear(): void {
    // What is under way here does not follow from the log.
  }

  apply(event: RecordedEvent): void {
    const isCancel = event.is('run.cancelled') || (event.is('run.finally_started') && event.data.to === 'cancelled');
    if (isCancel) this.watched.get((event.data as { runId: string }).runId)?.abort();
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
