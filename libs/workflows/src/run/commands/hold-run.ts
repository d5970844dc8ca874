import type { EventStore } from '#libs/event-store/src/event-store.js';
import { Rejected } from '#libs/kernel/src/errors.js';

import { openPaths } from '../../engine/open-paths.js';
import type { RunDraft } from '../../engine/run-decision.js';
import type { StartedRun } from '../../engine/run-state.js';
import type { RunSnapshots } from '../advance/run-snapshot.js';
import { type ChangedRun, changeRun, type RunCommand, statusOf } from './change-run.js';

/** A run during which so many processes in a row died without getting a step further is blocked. */
export const MAX_CRASHES = 10;

/**
 * Pauses a run: nothing new begins in it until it is resumed. Attempts under way end and are recorded; timers that become due
 * and outcomes that come meanwhile count when it is resumed.
 * @throws Rejected `run.not_found`, `run.ended`, `run.queued`
 */
export const pauseRun = (
  store: EventStore,
  command: RunCommand,
  now: () => Date,
  snapshots?: RunSnapshots,
): Promise<ChangedRun> => {
  const decide = (run: StartedRun): readonly RunDraft[] => {
    if (run.ended) throw new Rejected('conflict', 'run.ended', `The run has already ended: it is ${run.status}.`);
    if (run.held !== undefined) return [];
    if (run.status === 'queued')
      throw new Rejected(
        'conflict',
        'run.queued',
        'The run waits for its turn and has not begun. Cancel it, or pause the workflow.',
      );
    const { runId, by } = command;
    return [{ type: 'run.paused', data: { runId, by } }, statusOf(run, 'paused')];
  };
  return changeRun(store, command, now, decide, snapshots);
};

/**
 * Lets a run go on that is paused or blocked. One that is neither is left as it is.
 * @throws Rejected `run.not_found`, `run.ended`
 */
export const resumeRun = (
  store: EventStore,
  command: RunCommand,
  now: () => Date,
  snapshots?: RunSnapshots,
): Promise<ChangedRun> => {
  const decide = (run: StartedRun): readonly RunDraft[] => {
    if (run.ended) throw new Rejected('conflict', 'run.ended', `The run has already ended: it is ${run.status}.`);
    if (run.held === undefined) return [];
    const { runId, by } = command;
    return [{ type: 'run.resumed', data: { runId, by } }, statusOf(run, 'running')];
  };
  return changeRun(store, command, now, decide, snapshots);
};

/** Records that the process that was busy with a run has died; the tenth time without progress in between blocks the run. */
export const noteCrash = (
  store: EventStore,
  runId: string,
  now: () => Date,
  snapshots?: RunSnapshots,
): Promise<ChangedRun> => {
  const decide = (run: StartedRun): readonly RunDraft[] => {
    if (run.ended || run.held !== undefined) return [];
    const crashes = run.crashes + 1;
    const paths = openPaths(run.steps).slice(0, 20);
    const crashed = { type: 'run.crashed', data: { runId, paths } };
    if (crashes < MAX_CRASHES) return [crashed];
    return [crashed, { type: 'run.blocked', data: { runId, crashes, paths } }, statusOf(run, 'blocked')];
  };
  return changeRun(store, { runId, by: `run/${runId}` }, now, decide, snapshots);
};
