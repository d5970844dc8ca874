import { appendOnce, asRecorded } from '#libs/event-store/src/append-once.js';
import type { AppendResult, EventStore, RecordedEvent } from '#libs/event-store/src/event-store.js';
import { streams } from '#libs/events/src/streams.js';
import type { Log } from '#libs/kernel/src/log.js';
import type { WorkQueue } from '#libs/persistence/src/claims/work.js';

import { RUNS, type RunTask } from './advance-run.worker.js';
import { aboutOf, firstAppend, type NewRun } from './first-append.js';
import { logFailures } from './log-failures.js';

export interface RecordedRun extends AppendResult {
  /** What this call has recorded, unless it was `repeated`. */
  readonly events: readonly RecordedEvent[];
}

/**
 * Records a new run. Where it has something to do in the world and this process has a place for it, the first append says that
 * it has begun here, and the attempts begin at once: no row, no claim, no second append. A process that dies in between
 * leaves its claim, and the run is taken over like any other.
 */
export async function recordRun(
  { store, work, log }: { readonly store: EventStore; readonly work: WorkQueue; readonly log: Log },
  run: NewRun,
  now: Date,
): Promise<RecordedRun> {
  const { runId } = run;
  const stream = streams.run(runId);
  const { events, decision, place } = firstAppend(run, now, () => work.take({ queue: RUNS, key: runId }));
  let appended: AppendResult;
  try {
    appended = await appendOnce(store, stream, events);
  } catch (error) {
    place?.release();
    throw error;
  }
  // An earlier try, or another process, has recorded it, perhaps long ago.
  if (appended.repeated) {
    place?.release();
    return { ...appended, events: [] };
  }
  logFailures(log, events);
  const recorded = asRecorded(stream, events, appended, now);
  if (decision && (place || decision.isUnfinished)) {
    const { revision, position } = appended;
    const { definition } = run.workflow;
    const known = { definition: definition!, about: aboutOf(run), first: recorded[0]!, revision, position };
    const payload: RunTask = { known: { ...known, decision, isBegun: place !== undefined } };
    if (place) place.begin({ queue: RUNS, key: runId, dueAt: now, payload, position });
    else work.hint(RUNS, runId, payload);
  }
  return { ...appended, events: recorded };
}
