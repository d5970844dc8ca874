import type { EventStore } from '#libs/event-store/src/event-store.js';
import type { Clock } from '#libs/kernel/src/clock.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';
import type { ClaimedWork, WorkDone, Worker } from '#libs/persistence/src/claims/work.js';

import type { Definition } from '../../language/definition.js';
import { cancelRun, skipRun } from '../commands/cancel-run.js';
import type { Conflict } from './turns.js';

/** The queue of runs that have no turn; the key is the run's id. */
export const CONFLICTS = 'workflows.conflicts';
export type ConflictTask = Conflict;

/** Ends runs that `concurrency` leaves no place for: one that is skipped, or one that a newer run replaces. */
export class EndConflicts implements Worker<ConflictTask> {
  readonly queue = CONFLICTS;
  readonly concurrency = 16;
  readonly writes = [
    'workflow.skipped',
    'run.request_withdrawn',
    'run.cancelled',
    'run.finally_started',
    'workflow.status_changed',
  ] as const;

  constructor(
    private readonly store: EventStore,
    private readonly clock: Clock,
    private readonly definitionOf: (workflowId: string, version: string) => Promise<Definition | undefined>,
  ) {}

  async run({ payload }: ClaimedWork<ConflictTask>): Promise<WorkDone> {
    crashPoint('turns.before-end');
    const now = (): Date => this.clock.now();
    const { runId } = payload;
    const { position } =
      payload.kind === 'cancel'
        ? await cancelRun(this.store, { runId, by: payload.by }, now, this.definitionOf)
        : await skipRun(this.store, runId, { reason: payload.reason, detail: payload.detail }, now);
    crashPoint('turns.after-end');
    return { position };
  }
}
