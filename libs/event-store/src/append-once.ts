import { type AppendResult, type EventStore, type EventToAppend, WrongRevision } from './event-store.js';

/**
 * Appends what must happen once to the place that follows from its cause: a stream of its own, or the revision after
 * `expected`. If an earlier try or another process was first, what it recorded stands, and the result tells where it is.
 * @returns `repeated` is true where the place was taken, whoever took it.
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
