import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Table } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import { BoundedMap } from '#libs/kernel/src/bounded-map.js';

const MAX_RUNS = 20_000;
const ENDS = ['workflow.completed', 'workflow.failed', 'workflow.skipped', 'run.cancelled'] as const;

/**
 * The newest runs that no request started and that share no limit: nobody waits for their end, so it asks the database
 * nothing. Only a saving: of a run that is not here the rows tell.
 */
export class LoneRuns implements Table {
  readonly name = followers.runViews;
  readonly reads = [] as const;
  private readonly runs = new BoundedMap<string, true>(MAX_RUNS);

  /** The runner clears it whenever another process may have seen events that this one has not. */
  clear(): void {
    this.runs.clear();
  }

  apply(event: RecordedEvent): void {
    if (event.is('workflow.started')) {
      const { runId, concurrency, trigger } = event.data;
      if (!concurrency && trigger.kind !== 'request') this.runs.set(runId, true);
      // The version that it goes on with may have a limit.
    } else if (event.is('run.retried')) this.runs.delete(event.data.runId);
  }

  isEndOfOne(event: RecordedEvent): boolean {
    return event.is(...ENDS) && this.runs.get(event.data.runId) !== undefined;
  }
}
