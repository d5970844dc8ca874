import type { EventStore } from '#libs/event-store/src/event-store.js';
import { SUBJECT_ERASED } from '#libs/events/src/personal/field-path.js';
import { Rejected } from '#libs/kernel/src/errors.js';

import { openRequests } from '../../engine/open-requests.js';
import type { RunDraft } from '../../engine/run-decision.js';
import type { StartedRun } from '../../engine/run-state.js';
import type { Definition } from '../../language/definition.js';
import type { RunSnapshots } from '../advance/run-snapshot.js';
import { type ChangedRun, changeRun, type RunCommand, statusOf } from './change-run.js';

/**
 * Cancels a run. A process that is busy with it finds the stream changed and stops; an attempt under way is aborted, and
 * its outcome is not recorded. Where the workflow has `finally`, its steps follow, and the run ends after them; they do not
 * follow a run that was queued and has begun nothing. The engine leaves a run alone that ends by itself.
 * @throws Rejected `run.not_found`, `run.ended`, `run.ending`
 */
export const cancelRun = (
  store: EventStore,
  command: RunCommand,
  now: () => Date,
  definitionOf: (workflowId: string, version: string) => Promise<Definition | undefined>,
  snapshots?: RunSnapshots,
): Promise<ChangedRun> => {
  const decide = async (run: StartedRun): Promise<readonly RunDraft[]> => {
    const { orgId, by } = command;
    if (run.status === 'cancelled' || run.ending?.to === 'cancelled') return [];
    if ((run.ended || run.ending) && orgId === undefined) return [];
    if (run.ended) throw new Rejected('conflict', 'run.ended', `The run has already ended: it is ${run.status}.`);
    if (run.ending)
      throw new Rejected('conflict', 'run.ending', 'The steps of the run are over; those of "finally" are under way.');
    const { workflowId, version } = run.start;
    return cancellation(run, by, await definitionOf(workflowId, version));
  };
  return changeRun(store, command, now, decide, snapshots);
};

/**
 * Cancels a run that needs personal data of somebody who was erased. The steps of `finally` do not follow: they would need
 * it too.
 */
export const cancelErased = (store: EventStore, runId: string, now: () => Date): Promise<ChangedRun> => {
  const by = `run/${runId}`;
  return changeRun(store, { runId, by }, now, (run) =>
    run.ended ? [] : cancellation(run, by, undefined, { reason: SUBJECT_ERASED }),
  );
};

/** What cancels a run that is neither ended nor ending. Pure. */
export function cancellation(
  run: StartedRun,
  by: string,
  definition: Definition | undefined,
  why: { readonly reason?: string } = {},
): readonly RunDraft[] {
  const { runId } = run.start;
  const withdrawn = openRequests(run.steps).map((request): RunDraft => ({
    type: 'run.request_withdrawn',
    data: { runId, ...request },
  }));
  // One that queues for a place after a wait has begun.
  const hasBegun = run.status !== 'queued' || run.wakes > 0;
  return hasBegun && definition?.finally
    ? [...withdrawn, { type: 'run.finally_started', data: { runId, to: 'cancelled', by } }]
    : [...withdrawn, { type: 'run.cancelled', data: { runId, by, ...why } }, statusOf(run, 'cancelled')];
}

/** Ends a run that has found no place before its first step. One that has ended is left as it is. */
export const skipRun = (
  store: EventStore,
  runId: string,
  why: { readonly reason: string; readonly detail: string },
  now: () => Date,
): Promise<ChangedRun> =>
  changeRun(store, { runId, by: `run/${runId}` }, now, (run) => {
    if (run.ended) return [];
    const { workflowId, workflow } = run.start;
    return [{ type: 'workflow.skipped', data: { runId, workflowId, workflow, ...why } }, statusOf(run, 'skipped')];
  });
