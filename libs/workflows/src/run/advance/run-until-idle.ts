import { type EventStore, platformEvent } from '#libs/event-store/src/event-store.js';
import { readAt } from '#libs/event-store/src/reading.js';
import type { PlatformEvent } from '#libs/events/src/envelope.js';
import type { EventPlace } from '#libs/events/src/types/workflow.events.js';

import type { StartedRun } from '../../engine/run-state.js';
import { ActiveRun } from './active-run.js';
import type { About, KnownRun, RunPorts } from './run-ports.js';
import { readStoredRun } from './stored-run.js';

/**
 * Takes a run as far as it goes now: reads its stream, decides, appends, makes the attempts, and so on until there is
 * nothing to do but wait. Every append expects the revision just read, so of two processes that run it only one gets on,
 * and the other stops. Returns the position of the last event of the stream.
 * @param known where this process has recorded the run. Somebody else may have appended since: then the first append fails.
 */
export async function runUntilIdle(
  ports: RunPorts,
  runId: string,
  signal: AbortSignal,
  known?: KnownRun,
): Promise<{ position: bigint }> {
  if (known) {
    const { decision, isBegun } = known;
    return new ActiveRun(ports, known, decision.run, signal).untilIdle(isBegun ? decision : undefined);
  }
  const { run, ...stored } = await readStoredRun(ports.store, runId, ports.snapshots);
  if (run.ended || run.held !== undefined) return { position: stored.position };
  const { workflowId, version } = run.start;
  const [definition, about] = await Promise.all([ports.definition(workflowId, version), eventsOf(ports.store, run)]);
  const active = new ActiveRun(ports, { definition, about, ...stored }, run, signal);
  if (run.released) return active.wake();
  // Others have its place, or may get it: only the turn that it came for is its own.
  if (run.concurrency?.whileWaiting === 'release' && !(await ports.hasTurn(runId, stored.arrival)))
    return { position: 0n };
  return active.untilIdle();
}

/** The events that led to the run are not copied into it: they are read from the streams that the run names. */
async function eventsOf(store: EventStore, { start }: StartedRun): Promise<About> {
  const read = async ({ stream, revision }: EventPlace): Promise<PlatformEvent | undefined> => {
    const recorded = await readAt(store, stream, revision);
    return recorded && platformEvent(recorded);
  };
  const event = start.event && (await read(start.event));
  if (!start.events) return { event };
  const all = await Promise.all(start.events.map(read));
  // Retention may have taken some.
  return { event, events: all.filter((one) => one !== undefined) };
}
