import type { DataOf } from '#libs/events/src/catalogue.js';

import type { RunDraft } from './run-decision.js';
import { evolve, type StartedRun, unknownRun } from './run.js';

/** The first facts of a run, and the run after them. */
export function start(data: DataOf<'workflow.started'>, now: Date): { run: StartedRun; drafts: readonly RunDraft[] } {
  const { runId, workflowId, workflow } = data;
  const drafts: RunDraft[] = [
    { type: 'workflow.started', data },
    { type: 'workflow.status_changed', data: { runId, workflowId, workflow, to: 'running' } },
  ];
  const timestamp = now.toISOString();
  const run = drafts.reduce<ReturnType<typeof evolve>>(
    (before, draft) => evolve(before, { ...draft, timestamp }),
    unknownRun,
  );
  return { run: run as StartedRun, drafts };
}
