import { type EventStore, platformEvent } from '#libs/event-store/src/event-store.js';
import { readAt } from '#libs/event-store/src/reading.js';
import type { PlatformEvent } from '#libs/events/src/envelope.js';
import type { EventPlace } from '#libs/events/src/types/workflow.events.js';

import type { StartedRun } from '../../engine/run-state.js';
import { cancelErased } from '../commands/cancel-run.js';
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
  const { run, isErased, ...stored } = await readStoredRun(ports.store, runId, ports.snapshots);
  if (run.ended || run.held !== undefined) return { position: stored.position };
  const { workflowId, version } = run.start;
  const [definition, about] = await Promise.all([ports.definition(workflowId, version), eventsOf(ports.store, run)]);
  if (isErased || about.isErased) return cancelErased(ports.store, runId, () => ports.clock.now());
  const active = new ActiveRun(ports, { definition, about, ...stored }, run, signal);
  if (run.released) return active.wake();
  // Others have its place, or may get it: only the turn that it came for is its own.
  if (run.concurrency?.whileWaiting === 'release' && !(await ports.hasTurn(runId, stored.arrival)))
    return { position: 0n };
  return active.untilIdle();
}

/** The events that led to the run are not copied into it: they are read from the streams that the run names. */
async function eventsOf(store: EventStore, { start }: StartedRun): Promise<About & { readonly isErased: boolean }> {
  let isErased = false;
  const read = async ({ stream, revision }: EventPlace): Promise<PlatformEvent | undefined> => {
    const recorded = await readAt(store, stream, revision);
    isErased ||= recorded?.isErased === true;
    return recorded && platformEvent(recorded);
  };
  const event = start.event && (await read(start.event));
  const all = start.events && (await Promise.all(start.events.map(read)));
  // Retention may have taken some.
  return { event, ...(all && { events: all.filter((one) => one !== undefined) }), isErased };
}
