import type { EventToAppend } from '#libs/event-store/src/event-store.js';
import type { DataOf } from '#libs/events/src/catalogue.js';
import type { Log } from '#libs/kernel/src/log.js';
import { parseJson } from '#libs/kernel/src/text/exact-json.js';

/** Logs each run that has failed by these events, once they are recorded. */
export function logFailures(log: Log, events: readonly EventToAppend[]): void {
  for (const { type, data } of events) {
    if (type !== 'workflow.failed') continue;
    const { runId, workflow, error } = parseJson(data) as DataOf<'workflow.failed'>;
    log.warn({ run: runId, workflow, step: error.path, code: error.code }, `run failed: ${error.message}`);
  }
}
