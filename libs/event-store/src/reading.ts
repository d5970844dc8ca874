import type { EventStore, RecordedEvent } from './event-store.js';

const PAGE = 1000;

/** All events of one stream, or those from a revision on, page by page. */
export async function readWhole(
  store: Pick<EventStore, 'readStream'>,
  stream: string,
  from = 0n,
): Promise<readonly RecordedEvent[]> {
  const first = await store.readStream(stream, { from, limit: PAGE });
  if (first.length < PAGE) return first;
  const all = [...first];
  for (;;) {
    const next = await store.readStream(stream, { from: all.at(-1)!.revision + 1n, limit: PAGE });
    all.push(...next);
    if (next.length < PAGE) return all;
  }
}

/** The event at one place of a stream, or `undefined` if there is none. Events name such places with the revision as text. */
export async function readAt(
  store: EventStore,
  stream: string,
  revision: bigint | string,
): Promise<RecordedEvent | undefined> {
  const place = BigInt(revision);
  const [event] = await store.readStream(stream, { from: place, limit: 1 });
  // After a retention the next one that is left comes back.
  return event?.revision === place ? event : undefined;
}

/** The newest event of a stream, or `undefined` if there is none. */
export async function readLast(store: EventStore, stream: string): Promise<RecordedEvent | undefined> {
  const [event] = await store.readStream(stream, { direction: 'backwards', limit: 1 });
  return event;
}

/** Every event of these types up to a position, in order. */
export async function* readTypes(
  store: Pick<EventStore, 'readAll'>,
  types: readonly string[],
  upTo: bigint,
): AsyncGenerator<RecordedEvent> {
  for (let after = 0n; ;) {
    const page = await store.readAll({ after, filter: { types }, limit: PAGE });
    for (const event of page.events) {
      if (event.position > upTo) return;
      yield event;
    }
    if (page.end || page.position >= upTo) return;
    after = page.position;
  }
}
