import type { EventName } from '#libs/event-index/src/event-reader.adapter.js';
import { eventIdOf } from '#libs/events/src/envelope.js';

import type { Hash } from './tree/merkle.js';

/** A leaf as the tree keeps it. */
export interface KeptLeaf {
  readonly index: number;
  readonly position: bigint;
  readonly leaf: Hash;
}

/** A leaf as it follows from the log now. */
export interface LogLeaf {
  readonly position: bigint;
  readonly leaf: Hash;
  readonly event: EventName;
}

export type Comparison =
  | { readonly kind: 'same'; readonly leaves: readonly KeptLeaf[] }
  | { readonly kind: 'different'; readonly missing: readonly KeptLeaf[]; readonly surplus: readonly LogLeaf[] };

/** So far the two are searched for the next leaf that both have. */
const WINDOW = 1_000;

/** What is read ahead of a source that comes in batches. */
class Ahead<T> {
  private items: readonly T[] = [];
  private at = 0;
  private ended = false;
  private readonly source: AsyncIterator<readonly T[]>;

  constructor(source: AsyncIterable<readonly T[]>) {
    this.source = source[Symbol.asyncIterator]();
  }

  get length(): number {
    return this.items.length - this.at;
  }

  peek(offset: number): T | undefined {
    return this.items[this.at + offset];
  }

  take(count: number): readonly T[] {
    const taken = this.items.slice(this.at, this.at + count);
    this.at += count;
    return taken;
  }

  async fill(most: number): Promise<void> {
    while (!this.ended && this.length < most) {
      const next = await this.source.next();
      if (next.done) this.ended = true;
      else {
        this.items = [...this.items.slice(this.at), ...next.value];
        this.at = 0;
      }
    }
  }
}

/**
 * Holds what is kept against what is there, both in order, with bounded memory. After a difference it goes on at the next
 * leaf that both have: positions are not relied on, since who removes an event can renumber those behind it.
 */
export async function* compareLeaves(
  kept: AsyncIterable<readonly KeptLeaf[]>,
  log: AsyncIterable<readonly LogLeaf[]>,
): AsyncGenerator<Comparison> {
  const [ours, theirs] = [new Ahead(kept), new Ahead(log)];
  for (;;) {
    await ours.fill(1);
    await theirs.fill(1);
    const most = Math.min(ours.length, theirs.length);
    let same = 0;
    while (same < most && ours.peek(same)!.leaf.equals(theirs.peek(same)!.leaf)) same += 1;
    if (same > 0) {
      theirs.take(same);
      yield { kind: 'same', leaves: ours.take(same) };
      continue;
    }
    await ours.fill(WINDOW);
    await theirs.fill(WINDOW);
    if (ours.length + theirs.length === 0) return;
    const [missing, surplus] = nextCommon(ours, theirs);
    yield { kind: 'different', missing: ours.take(missing), surplus: theirs.take(surplus) };
  }
}

/** How many to pass over on each side, as few as possible. */
function nextCommon(ours: Ahead<KeptLeaf>, theirs: Ahead<LogLeaf>): readonly [number, number] {
  const [mine, other] = [Math.min(ours.length, WINDOW), Math.min(theirs.length, WINDOW)];
  const places = new Map<string, number>();
  for (let n = mine - 1; n >= 0; n--) places.set(ours.peek(n)!.leaf.toString('latin1'), n);
  let best: readonly [number, number] | undefined;
  for (let n = 0; n < other && (!best || n < best[0] + best[1]); n++) {
    const place = places.get(theirs.peek(n)!.leaf.toString('latin1'));
    if (place !== undefined && (!best || place + n < best[0] + best[1])) best = [place, n];
  }
  if (best) return best;
  // A gap that is larger than the window: the side that is behind catches up.
  const [here, there] = [ours.peek(0)?.position, theirs.peek(0)?.position];
  if (here === undefined || there === undefined || here === there) return [mine, other];
  return here < there ? [mine, 0] : [0, other];
}

export type DifferenceKind = 'changed' | 'missing' | 'reordered' | 'surplus' | 'cut';

/** An event that is not as it was, the first of a kind of change. */
export interface Difference {
  readonly kind: DifferenceKind;
  /** Place in the tree, from 0; of a surplus event that of the event that it stands before. */
  readonly index: number;
  readonly position: string;
  /** `evt_…`; absent where nothing in the system says any more which event it was. */
  readonly eventId?: string;
  readonly type?: string;
  readonly stream?: string;
  readonly revision?: string;
  /** Events from here on that a cut took away. */
  readonly count?: number;
  readonly detail: string;
}

export interface Unmatched {
  readonly missing: readonly KeptLeaf[];
  /** With the index of the next leaf that is kept. */
  readonly surplus: readonly (LogLeaf & { readonly before: number })[];
  /** Leaves of the tree. */
  readonly size: number;
  /** Index after the last leaf that is in the log. */
  readonly matchedUpTo: number;
  /** What the index of events says was at a position. */
  readonly nameAt: (position: bigint) => EventName | undefined;
}

/** Says of everything that has no counterpart what happened to it, in the order of the tree. */
export function explain({ missing, surplus, size, matchedUpTo, nameAt }: Unmatched): readonly Difference[] {
  const added = new Set(surplus);
  const claim = (of: (one: LogLeaf) => boolean): LogLeaf | undefined => {
    const found = [...added].find(of);
    if (found) added.delete(found);
    return found;
  };
  const byLeaf = new Map(surplus.map((one) => [one.leaf.toString('latin1'), one]));
  const moved = new Map<KeptLeaf, LogLeaf>();
  for (const one of missing) {
    const found = byLeaf.get(one.leaf.toString('latin1'));
    if (found && added.delete(found)) moved.set(one, found);
  }
  const differences: Difference[] = [];
  const lost: KeptLeaf[] = [];
  for (const one of missing) {
    const known = nameAt(one.position);
    const elsewhere = moved.get(one);
    if (elsewhere) {
      const detail = `The event was moved: it is at position ${elsewhere.position}.`;
      differences.push({ kind: 'reordered', ...placeOf(one), ...nameOf(elsewhere.event), detail });
      continue;
    }
    const now = claim(({ position }) => position === one.position) ?? claim(({ event }) => event.id === known?.id);
    if (now) differences.push({ kind: 'changed', ...placeOf(one), ...nameOf(known ?? now.event), detail: CHANGED });
    else lost.push(one);
  }
  // Of a long tail only the beginning is given.
  const last = missing.at(-1)?.index ?? -1;
  const end = last >= matchedUpTo ? last + 1 : size;
  const cutFrom = tailOf(lost, end);
  for (const one of lost) {
    if (one.index > cutFrom) break;
    const name = { ...placeOf(one), ...nameOf(nameAt(one.position)) };
    const count = size - cutFrom;
    const isCut = one.index === cutFrom && cutFrom < end;
    const detail = isCut ? `The end of the log was cut off: ${count} event(s) from here on.` : 'The event was removed.';
    differences.push({ kind: isCut ? 'cut' : 'missing', ...name, ...(isCut && { count }), detail });
  }
  for (const { before, position, event } of added as ReadonlySet<LogLeaf & { readonly before: number }>) {
    const detail = 'The event was added among those that were there.';
    differences.push({ kind: 'surplus', index: before, position: String(position), ...nameOf(event), detail });
  }
  return differences.sort((one, other) => one.index - other.index);
}

const CHANGED = 'The event was changed: its id, stream, revision, type, data or metadata.';

const placeOf = ({ index, position }: KeptLeaf) => ({ index, position: String(position) });
const nameOf = (event: EventName | undefined) =>
  event && { eventId: eventIdOf(event.id), type: event.type, stream: event.stream, revision: String(event.revision) };

/** Where the missing leaves begin that reach to `end`; `end` if there are none. */
function tailOf(lost: readonly KeptLeaf[], end: number): number {
  let from = end;
  for (const { index } of lost.toReversed()) {
    if (index !== from - 1) break;
    from = index;
  }
  return from;
}
