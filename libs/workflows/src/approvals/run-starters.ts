import type { EventStore, RecordedEvent } from '#libs/event-store/src/event-store.js';
import { readAt } from '#libs/event-store/src/reading.js';
import { streams } from '#libs/events/src/streams.js';

interface Place {
  readonly stream: string;
  readonly revision: string;
}

/** An execution may begin with its request; its start comes right after. */
const HEAD = 2;

/**
 * Who started a run: the actors of its first event, of the events that led to it, and of every run and execution on the
 * way. A story is at most `MAX_HOPS` deep, and only the head of each stream is read.
 */
export async function startersOf(store: EventStore, runId: string): Promise<ReadonlySet<string>> {
  const starters = new Set<string>();
  // A set yields what is added while it is walked, and each stream once.
  const asked = new Set([streams.run(runId)]);
  const note = async (event: RecordedEvent): Promise<void> => {
    starters.add(event.metadata.actor);
    for (const place of event.isReadable ? causesOf(event) : []) {
      if (streams.isRun(place.stream) || streams.isExecution(place.stream)) asked.add(place.stream);
      const cause = await readAt(store, place.stream, place.revision);
      if (cause) await note(cause);
    }
  };
  for (const stream of asked)
    for (const event of await store.readStream(stream, { limit: HEAD }))
      if (event.isReadable && event.is('workflow.started', 'agent.requested', 'agent.started')) await note(event);
  return starters;
}

/** The events that an event names as what led to it. */
function causesOf(event: RecordedEvent): readonly Place[] {
  if (event.is('agent.started')) return [event.data.request];
  if (event.is('workflow.requested', 'agent.requested')) return event.data.event ? [event.data.event] : [];
  if (!event.is('workflow.started')) return [];
  const { event: cause, events = [], parent } = event.data;
  return [
    ...(cause ? [cause] : []),
    ...events,
    ...(parent ? [{ stream: streams.run(parent.runId), revision: '0' }] : []),
  ];
}
