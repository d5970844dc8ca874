import type { Uuid } from '#libs/kernel/src/ids.js';
import { parseAsWritten, stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import { FOLD_VERSION, type StartedRun } from '../../engine/run-state.js';

/** A run as its stream tells it up to a revision, so that a long stream is not read whole each time. */
export interface RunSnapshot {
  readonly run: StartedRun;
  readonly revision: bigint;
  /** Of the event with that revision. Where the log has another event there, the snapshot is of another log. */
  readonly eventId: Uuid;
  /** Position of the event with which the run last came for a turn. */
  readonly arrival: bigint;
}

/** Where snapshots are kept. They are a cache: without them the stream tells the same. */
export interface RunSnapshots {
  find(runId: string): Promise<RunSnapshot | undefined>;
  save(snapshot: RunSnapshot): Promise<void>;
}

/** A snapshot is taken when a claim ends and the stream has this many events more than the last one knew. */
export const SNAPSHOT_EVERY = 100n;

/** The outputs of a run may be large. One that is larger than this is read from its stream. */
const MAX_TEXT = 4 * 1024 * 1024;

/** `undefined` if it is too large. */
export function snapshotText(run: StartedRun): string | undefined {
  const text = stringifyJson({ fold: FOLD_VERSION, run });
  return text.length > MAX_TEXT ? undefined : text;
}

/** `undefined` if another version of the engine wrote it, or if it is not about this run. */
export function runInSnapshot(text: string, runId: string): StartedRun | undefined {
  try {
    const { fold, run } = parseAsWritten(text) as { fold: number; run: StartedRun };
    return fold === FOLD_VERSION && run.start.runId === runId ? run : undefined;
  } catch {
    return undefined;
  }
}
