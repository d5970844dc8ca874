import { type EventStore, WrongRevision } from '#libs/event-store/src/event-store.js';
import { readWhole } from '#libs/event-store/src/reading.js';
import { streams } from '#libs/events/src/streams.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { uuid7 } from '#libs/kernel/src/ids.js';

import type { RunDraft } from '../engine/run-decision.js';
import { foldRun } from '../engine/run-state.js';
import type { Definition } from '../language/definition.js';
import { runEvents } from './run-until-idle.js';

const MAX_TRIES = 20;

/**
 * Cancels a run. A process that is busy with it finds the stream changed and stops; an attempt under way is aborted, and
 * its outcome is not recorded. Where the workflow has `finally`, its steps follow, and the run ends after them.
 * @returns the position up to which the run's stream is to be read, and whether the run has ended.
 * @throws Rejected `run.not_found`, `run.ended`
 */
export async function cancelRun(
  store: EventStore,
  runId: string,
  orgId: string,
  by: string,
  now: () => Date,
  definitionOf: (workflowId: string, version: string) => Promise<Definition | undefined>,
): Promise<{ readonly position: bigint; readonly isOver: boolean }> {
  const stream = streams.run(runId);
  for (let tries = 1; ; tries++) {
    const recorded = await readWhole(store, stream);
    const first = recorded[0];
    const run = foldRun(
      recorded
        .filter((one) => one.isReadable)
        .map(({ type, data, metadata: { timestamp } }) => ({ type, data, timestamp })),
    );
    if (first === undefined || run.status === 'unknown' || first.metadata.orgId !== orgId) throw runNotFound(runId);
    const last = recorded.at(-1)!;
    if (run.status === 'cancelled' || run.ending?.to === 'cancelled')
      return { position: last.position, isOver: run.ended };
    if (run.ended) throw new Rejected('conflict', 'run.ended', `The run has already ended: it is ${run.status}.`);
    if (run.ending)
      throw new Rejected('conflict', 'run.ending', 'The steps of the run are over; those of "finally" are under way.');
    const { workflowId, workflow, version } = run.start;
    const hasMore = (await definitionOf(workflowId, version))?.finally !== undefined;
    const drafts: RunDraft[] = hasMore
      ? [{ type: 'run.finally_started', data: { runId, to: 'cancelled', by } }]
      : [
          { type: 'run.cancelled', data: { runId, by } },
          { type: 'workflow.status_changed', data: { runId, workflowId, workflow, from: run.status, to: 'cancelled' } },
        ];
    const at = now();
    try {
      const events = runEvents(drafts, first.id, { ...first.metadata, actor: by }, at, uuid7(), last.revision);
      const { position } = await store.append(stream, events, last.revision);
      return { position, isOver: !hasMore };
    } catch (error) {
      if (!(error instanceof WrongRevision) || tries === MAX_TRIES) throw error;
    }
  }
}

export const runNotFound = (id: string): Rejected =>
  new Rejected('not_found', 'run.not_found', `There is no run ${id}. GET /api/v1/runs lists them.`);
