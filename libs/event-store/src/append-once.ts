import { type AppendResult, type EventStore, type EventToAppend, RecordedEvent, WrongRevision } from './event-store.js';

/**
 * Appends what must happen once to the place that follows from its cause: a stream of its own, or the revision after
 * `expected`. If an earlier try or another process was first, what it recorded stands, and the result tells where it is.
 * @returns `repeated` is true where the place was taken, by any process.
 * @throws WrongRevision if the stream has not come as far as `expected`.
 * @throws Transient `log.unavailable`: nobody knows whether the events are there; the same call again is safe.
 */
export async function appendOnce(
  store: EventStore,
  stream: string,
  events: readonly EventToAppend[],
  expected: bigint | 'no-stream' = 'no-stream',
): Promise<AppendResult> {
  try {
    return await store.append(stream, events, expected);
  } catch (error) {
    if (!(error instanceof WrongRevision)) throw error;
    const from = expected === 'no-stream' ? 0n : expected + 1n;
    const last = (await store.readStream(stream, { from, limit: events.length })).at(-1);
    if (!last) throw error;
    return { revision: last.revision, position: last.position, repeated: true };
  }
}

/**
 * What an append that was not `repeated` has recorded, without reading it back. Every event has the position of the last one:
 * where the others are the log does not say.
 */
export const asRecorded = (
  stream: string,
  events: readonly EventToAppend[],
  { revision, position }: AppendResult,
  created: Date,
): readonly RecordedEvent[] =>
  events.map(({ id, type, data, metadata }, index) => {
    const at = revision - BigInt(events.length - 1 - index);
    return new RecordedEvent(stream, at, position, id, type, created, data, metadata);
  });
