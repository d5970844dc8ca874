import type { EventStore } from '#libs/event-store/src/event-store.js';
import { readTypes } from '#libs/event-store/src/reading.js';

import { WHOLE_LOG } from './kept-tree.adapter.js';
import { LeafRanges } from './tree/leaf-ranges.js';

/**
 * The places in a tree whose events retention has removed, as the log says itself: these events are in the tree too, so nobody
 * can add to them unseen. What only the store hides was not removed by retention.
 */
export async function truncatedLeaves(store: EventStore, tree: string, upTo: bigint): Promise<LeafRanges> {
  const ranges = new LeafRanges();
  for await (const event of readTypes(store, ['retention.applied'], upTo)) {
    if (!event.isReadable || !event.is('retention.applied')) continue;
    if (tree === WHOLE_LOG) ranges.add(event.data.leaves);
    else if (event.metadata.orgId === tree) ranges.add(event.data.ownLeaves);
  }
  return ranges;
}
