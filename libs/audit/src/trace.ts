import type { TracedEvent } from '#libs/event-index/src/event-reader.adapter.js';
import { eventIdOf } from '#libs/events/src/envelope.js';
import type { Uuid } from '#libs/kernel/src/ids.js';

/** An event with everything that it directly caused, in the order of the log. */
export interface TraceNode {
  readonly id: string;
  readonly type: string;
  readonly source: string;
  readonly subject: string;
  readonly timestamp: string;
  readonly receivedAt: string;
  /** Milliseconds from when its parent was recorded; absent at the root. Clocks of two servers may make it negative. */
  gapMs?: number;
  /** Whether everything passes over the event. */
  readonly quarantined?: true;
  readonly children: readonly TraceNode[];
}

/**
 * The tree of causes. Its root is the event that the story is named after; where that is not among the events (another
 * organisation, retention), the first one. What names a cause that is not there hangs at the root.
 *
 * @param events of one correlation, in the order of the log; at least one.
 */
export function traceOf(events: readonly TracedEvent[], correlation: Uuid): TraceNode {
  const first = events.find(({ id }) => id === correlation) ?? events[0];
  if (!first) throw new RangeError('a trace has at least one event');
  const nodes = new Map<Uuid, TraceNode & { readonly children: TraceNode[] }>();
  for (const { id, type, source, subject, timestamp, receivedAt, quarantined } of events)
    nodes.set(id, {
      ...{ id: eventIdOf(id), type, source, subject, timestamp, receivedAt },
      ...(quarantined && { quarantined }),
      children: [],
    });
  const root = nodes.get(first.id)!;
  const placed = new Set<Uuid>();
  for (const { id, causation } of events) {
    const node = nodes.get(id)!;
    if (node === root || placed.has(id)) continue;
    // A cause precedes what it causes: an unplaced one is no ancestor, so nothing can hang under itself.
    const known = causation !== undefined && (placed.has(causation) || causation === first.id);
    const parent = known ? nodes.get(causation)! : root;
    node.gapMs = Date.parse(node.receivedAt) - Date.parse(parent.receivedAt);
    parent.children.push(node);
    placed.add(id);
  }
  return root;
}
