import type { RunDraft } from './run-decision.js';
import { foldRun, type RunStart, type StartedRun } from './run-state.js';

/** The first events of a run, and the run after them. */
export function startRun(data: RunStart, now: Date): { run: StartedRun; drafts: readonly RunDraft[] } {
  const { runId, workflowId, workflow } = data;
  const drafts: RunDraft[] = [
    { type: 'workflow.started', data },
    {
      type: 'workflow.status_changed',
      data: { runId, workflowId, workflow, to: data.concurrency ? 'queued' : 'running' },
    },
  ];
  const timestamp = now.toISOString();
  return { run: foldRun(drafts.map((draft) => ({ ...draft, timestamp }))) as StartedRun, drafts };
}
