import type { EventStore, RecordedEvent } from '#libs/event-store/src/event-store.js';
import { readWhole } from '#libs/event-store/src/reading.js';
import { personalOf } from '#libs/events/src/envelope.js';
import { streams } from '#libs/events/src/streams.js';
import type { Uuid } from '#libs/kernel/src/ids.js';

import { foldRun, type StartedRun } from '../../engine/run-state.js';
import { isArrival } from '../turns/turns.js';
import { type RunSnapshot, type RunSnapshots, SNAPSHOT_EVERY } from './run-snapshot.js';

/** A run as it stands in the log. */
export interface StoredRun {
  readonly run: StartedRun;
  readonly first: RecordedEvent;
  /** Of the last event. */
  readonly revision: bigint;
  readonly position: bigint;
  readonly lastId: Uuid;
  /** Position of the event with which the run last came for a turn. */
  readonly arrival: bigint;
  /** Keys of all people of whom the run has personal data. */
  readonly personal?: readonly string[];
  /** One of them was erased. */
  readonly isErased: boolean;
  /** Up to which a snapshot holds the run. */
  readonly savedRevision?: bigint;
}

/** Reads a run: a long one from its snapshot and what came after it, if the two fit; otherwise the whole stream. */
export async function readStoredRun(store: EventStore, runId: string, snapshots?: RunSnapshots): Promise<StoredRun> {
  const run = await findStoredRun(store, runId, snapshots);
  if (!run) throw new Error(`there is no run in ${streams.run(runId)}`);
  return run;
}

export async function findStoredRun(
  store: EventStore,
  runId: string,
  snapshots?: RunSnapshots,
): Promise<StoredRun | undefined> {
  const stream = streams.run(runId);
  const limit = Number(SNAPSHOT_EVERY);
  // No snapshot is looked for that a short run cannot have.
  const page = await store.readStream(stream, { limit });
  const [first] = page;
  if (!first) return undefined;
  if (page.length < limit) return stored(first, page);
  const snapshot = await snapshots?.find(runId);
  if (snapshot) {
    const [known, ...newer] = await readWhole(store, stream, snapshot.revision);
    if (known?.id === snapshot.eventId) return stored(first, [known, ...newer], snapshot);
  }
  return stored(first, [...page, ...(await readWhole(store, stream, page.at(-1)!.revision + 1n))]);
}

/** @param events the first of them is the last in the snapshot, if there is one. */
function stored(first: RecordedEvent, events: readonly RecordedEvent[], snapshot?: RunSnapshot): StoredRun | undefined {
  const readable = (snapshot ? events.slice(1) : events).filter((event) => event.isReadable);
  const facts = readable.map(({ type, data, metadata: { timestamp } }) => ({ type, data, timestamp }));
  const run = foldRun(facts, snapshot?.run);
  if (run.status === 'unknown') return undefined;
  const { id: lastId, revision, position } = events.at(-1)!;
  const arrival = events.findLast(isArrival)?.position ?? snapshot?.arrival ?? first.position;
  const personal = personalOf(first.metadata, ...readable.map(({ metadata }) => metadata));
  const isErased = [first, ...readable].some((event) => event.isErased);
  const saved = snapshot && { savedRevision: snapshot.revision };
  return { run, first, revision, position, lastId, arrival, isErased, ...personal, ...saved };
}
