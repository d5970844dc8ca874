import { type EventStore, type RecordedEvent, WrongRevision } from '#libs/event-store/src/event-store.js';
import { readWhole } from '#libs/event-store/src/reading.js';
import type { RunStatus } from '#libs/events/src/shapes/run-shape.js';
import { streams } from '#libs/events/src/streams.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { uuid7 } from '#libs/kernel/src/ids.js';

import type { RunDraft } from '../../engine/run-decision.js';
import { evolve, foldRun, type StartedRun } from '../../engine/run-state.js';
import type { RunSnapshots } from '../advance/run-snapshot.js';
import { findStoredRun } from '../advance/stored-run.js';
import { runEvents } from '../run-events.js';

const MAX_TRIES = 20;

/** What somebody outside the run wants of it. */
export interface RunCommand {
  readonly runId: string;
  /** Whose run it must be; absent where the engine asks. */
  readonly orgId?: string;
  readonly by: string;
}

/** A run after a command. */
export interface ChangedRun {
  /** Up to which the run's stream is to be read. */
  readonly position: bigint;
  readonly run: StartedRun;
}

/**
 * Appends what follows from the run as it is. Where somebody else was faster, it is looked at again. A process that is busy
 * with the run finds the stream changed.
 */
export async function changeRun(
  store: EventStore,
  { runId, orgId, by }: RunCommand,
  now: () => Date,
  decide: (run: StartedRun) => readonly RunDraft[] | Promise<readonly RunDraft[]>,
  snapshots?: RunSnapshots,
): Promise<ChangedRun> {
  for (let tries = 1; ; tries++) {
    const stored = await findStoredRun(store, runId, snapshots);
    if (!stored || (orgId ?? stored.first.metadata.orgId) !== stored.first.metadata.orgId) throw runNotFound(runId);
    const { run, first, revision, position: last } = stored;
    const drafts = await decide(run);
    if (drafts.length === 0) return { position: last, run };
    const at = now();
    try {
      const events = runEvents(drafts, first.id, { ...first.metadata, actor: by }, at, uuid7(), revision);
      const { position } = await store.append(streams.run(runId), events, revision);
      const timestamp = at.toISOString();
      const after = drafts.reduce((state, draft) => evolve(state, { ...draft, timestamp }) as StartedRun, run);
      return { position, run: after };
    } catch (error) {
      if (!(error instanceof WrongRevision) || tries === MAX_TRIES) throw error;
    }
  }
}

/** A run with its whole stream. @throws Rejected `run.not_found` */
export async function readRun(
  store: EventStore,
  runId: string,
  orgId?: string,
): Promise<{ readonly recorded: readonly RecordedEvent[]; readonly run: StartedRun }> {
  const recorded = await readWhole(store, streams.run(runId));
  const run = foldRun(
    recorded
      .filter((one) => one.isReadable)
      .map(({ type, data, metadata: { timestamp } }) => ({ type, data, timestamp })),
  );
  const owner = recorded[0]?.metadata.orgId;
  if (run.status === 'unknown' || (orgId ?? owner) !== owner) throw runNotFound(runId);
  return { recorded, run };
}

export function statusOf(run: StartedRun, to: RunStatus): RunDraft {
  const { runId, workflowId, workflow } = run.start;
  return { type: 'workflow.status_changed', data: { runId, workflowId, workflow, from: run.status, to } };
}

export const runNotFound = (id: string): Rejected =>
  new Rejected('not_found', 'run.not_found', `There is no run ${id}. GET /api/v1/runs lists them.`);
