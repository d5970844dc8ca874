import type { EventStore } from '#libs/event-store/src/event-store.js';
import { Rejected } from '#libs/kernel/src/errors.js';

import { openPaths } from '../../engine/open-paths.js';
import { type ChangedRun, changeRun, type RunCommand, statusOf } from './change-run.js';

/** A run during which so many processes in a row died without getting a step further is blocked. */
export const MAX_CRASHES = 10;

/**
 * Pauses a run: nothing new begins in it until it is resumed. Attempts under way end and are recorded; timers that become due
 * and outcomes that come meanwhile count when it is resumed.
 * @throws Rejected `run.not_found`, `run.ended`, `run.queued`
 */
export const pauseRun = (store: EventStore, command: RunCommand, now: () => Date): Promise<ChangedRun> =>
  changeRun(store, command, now, (run) => {
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
  });

/**
 * Lets a run go on that is paused or blocked. One that is neither is left as it is.
 * @throws Rejected `run.not_found`, `run.ended`
 */
export const resumeRun = (store: EventStore, command: RunCommand, now: () => Date): Promise<ChangedRun> =>
  changeRun(store, command, now, (run) => {
    if (run.ended) throw new Rejected('conflict', 'run.ended', `The run has already ended: it is ${run.status}.`);
    if (run.held === undefined) return [];
    const { runId, by } = command;
    return [{ type: 'run.resumed', data: { runId, by } }, statusOf(run, 'running')];
  });

/** Records that the process that was busy with a run has died; the tenth time without progress in between blocks the run. */
export const noteCrash = (store: EventStore, runId: string, now: () => Date): Promise<ChangedRun> =>
  changeRun(store, { runId, by: `run/${runId}` }, now, (run) => {
    if (run.ended || run.held !== undefined) return [];
    const crashes = run.crashes + 1;
    const paths = openPaths(run.steps).slice(0, 20);
    const crashed = { type: 'run.crashed', data: { runId, paths } };
    if (crashes < MAX_CRASHES) return [crashed];
    return [crashed, { type: 'run.blocked', data: { runId, crashes, paths } }, statusOf(run, 'blocked')];
  });
