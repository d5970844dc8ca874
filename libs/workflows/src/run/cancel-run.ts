import { type EventStore, WrongRevision } from '#libs/event-store/src/event-store.js';
import { readWhole } from '#libs/event-store/src/reading.js';
import { streams } from '#libs/events/src/streams.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { uuid7 } from '#libs/kernel/src/ids.js';

import type { RunDraft } from '../engine/run-decision.js';
import { foldRun, type StartedRun } from '../engine/run-state.js';
import type { Definition } from '../language/definition.js';
import { runEvents } from './run-until-idle.js';

const MAX_TRIES = 20;

/** Where a run is left from outside. */
export interface RunLeft {
  /** Up to which the run's stream is to be read. */
  readonly position: bigint;
  readonly isOver: boolean;
}

export interface Cancellation {
  readonly runId: string;
  /** Whose run it must be; absent where the engine cancels. */
  readonly orgId?: string;
  readonly by: string;
}

/**
 * Cancels a run. A process that is busy with it finds the stream changed and stops; an attempt under way is aborted, and
 * its outcome is not recorded. Where the workflow has `finally`, its steps follow, and the run ends after them; they do not
 * follow a run that was queued and has begun nothing. The engine leaves a run alone that ends by itself.
 * @throws Rejected `run.not_found`, `run.ended`, `run.ending`
 */
export const cancelRun = (
  store: EventStore,
  { runId, orgId, by }: Cancellation,
  now: () => Date,
  definitionOf: (workflowId: string, version: string) => Promise<Definition | undefined>,
): Promise<RunLeft> =>
  appendTo(store, { runId, by, ...(orgId !== undefined && { orgId }) }, now, async (run) => {
    if (run.status === 'cancelled' || run.ending?.to === 'cancelled') return [];
    if ((run.ended || run.ending) && orgId === undefined) return [];
    if (run.ended) throw new Rejected('conflict', 'run.ended', `The run has already ended: it is ${run.status}.`);
    if (run.ending)
      throw new Rejected('conflict', 'run.ending', 'The steps of the run are over; those of "finally" are under way.');
    const { workflowId, version } = run.start;
    const hasLast = run.status !== 'queued' && (await definitionOf(workflowId, version))?.finally !== undefined;
    return hasLast
      ? [{ type: 'run.finally_started', data: { runId, to: 'cancelled', by } }]
      : [{ type: 'run.cancelled', data: { runId, by } }, statusOf(run, 'cancelled')];
  });

/** Ends a run that has found no place before its first step. One that has ended is left as it is. */
export const skipRun = (
  store: EventStore,
  runId: string,
  why: { readonly reason: string; readonly detail: string },
  now: () => Date,
): Promise<RunLeft> =>
  appendTo(store, { runId, by: `run/${runId}` }, now, (run) => {
    if (run.ended) return [];
    const { workflowId, workflow } = run.start;
    return [{ type: 'workflow.skipped', data: { runId, workflowId, workflow, ...why } }, statusOf(run, 'skipped')];
  });

function statusOf(run: StartedRun, to: 'cancelled' | 'skipped'): RunDraft {
  const { runId, workflowId, workflow } = run.start;
  return { type: 'workflow.status_changed', data: { runId, workflowId, workflow, from: run.status, to } };
}

/** Appends what follows from the run as it is. Where somebody else was faster, it is looked at again. */
async function appendTo(
  store: EventStore,
  { runId, orgId, by }: Cancellation,
  now: () => Date,
  decide: (run: StartedRun) => readonly RunDraft[] | Promise<readonly RunDraft[]>,
): Promise<RunLeft> {
  const stream = streams.run(runId);
  for (let tries = 1; ; tries++) {
    const recorded = await readWhole(store, stream);
    const first = recorded[0];
    const run = foldRun(
      recorded
        .filter((one) => one.isReadable)
        .map(({ type, data, metadata: { timestamp } }) => ({ type, data, timestamp })),
    );
    if (first === undefined || run.status === 'unknown' || (orgId ?? first.metadata.orgId) !== first.metadata.orgId)
      throw runNotFound(runId);
    const last = recorded.at(-1)!;
    const drafts = await decide(run);
    if (drafts.length === 0) return { position: last.position, isOver: run.ended };
    const at = now();
    try {
      const events = runEvents(drafts, first.id, { ...first.metadata, actor: by }, at, uuid7(), last.revision);
      const { position } = await store.append(stream, events, last.revision);
      return { position, isOver: drafts[0]!.type !== 'run.finally_started' };
    } catch (error) {
      if (!(error instanceof WrongRevision) || tries === MAX_TRIES) throw error;
    }
  }
}

export const runNotFound = (id: string): Rejected =>
  new Rejected('not_found', 'run.not_found', `There is no run ${id}. GET /api/v1/runs lists them.`);
