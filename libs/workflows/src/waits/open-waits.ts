import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Uuid } from '#libs/kernel/src/ids.js';

/** The waits of a run for events and for approvals, as its stream tells them. */
export interface RunWaits {
  /** Those that may still be answered. */
  readonly open: ReadonlySet<Uuid>;
  /** Public ids of the events that the run has taken: each answers one wait of it. */
  readonly received: ReadonlySet<string>;
}

/** Folds the events of one run. Pure. */
export function waitsOf(events: readonly RecordedEvent[]): RunWaits {
  const open = new Map<Uuid, string>();
  const received = new Set<string>();
  for (const event of events) {
    if (event.is('run.wait_begun', 'approval.requested')) open.set(event.data.requestId, event.data.path);
    else if (event.is('run.event_received')) {
      open.delete(event.data.requestId);
      received.add(event.data.event.id);
    } else if (event.is('workflow.step_completed', 'workflow.error')) {
      for (const [id, path] of open) if (path === event.data.path) open.delete(id);
    } else if (event.is('run.request_withdrawn')) open.delete(event.data.requestId);
    else if (event.is('run.rested')) {
      // What a run gave up together with a step around it, it does not wait for when it comes to rest.
      const { awaiting } = event.data;
      for (const id of open.keys()) if (!awaiting.includes(id)) open.delete(id);
    } else if (event.is('run.recovery_started', 'run.finally_started', ...RUN_ENDS)) open.clear();
  }
  return { open: new Set(open.keys()), received };
}

export const RUN_ENDS = ['workflow.completed', 'workflow.failed', 'run.cancelled'] as const;
