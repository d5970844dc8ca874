import type { RecordedEvent } from '../../event-store.js';

/** Most events that one look at the tail passes over: a filter that matches nothing lets others have their turn. */
const MOST_LOOKED_AT = 5_000;

/**
 * The newest part of the log in memory, shared by all live subscriptions of the process, bounded in bytes. It covers
 * every position after `base` up to `end`: what is not in it there does not exist.
 */
export class Tail {
  private events: (RecordedEvent | undefined)[] = [];
  /** Before this index there is nothing any more; it is cut off now and then, not one by one. */
  private first = 0;
  private bytes = 0;

  constructor(
    private covered: { base: bigint; end: bigint },
    private readonly maxBytes: number,
  ) {}

  /** Exclusive: a reader at or beyond it can go on from memory. */
  get base(): bigint {
    return this.covered.base;
  }

  get end(): bigint {
    return this.covered.end;
  }

  /** Adds all events after `end` up to `upTo`, in order. */
  push(events: readonly RecordedEvent[], upTo: bigint): void {
    for (const event of events) {
      this.events.push(event);
      this.bytes += event.bytes;
    }
    if (upTo > this.covered.end) this.covered.end = upTo;
    while (this.bytes > this.maxBytes) {
      const evicted = this.events[this.first]!;
      // At once: a thousand events may be a gigabyte.
      this.events[this.first++] = undefined;
      this.bytes -= evicted.bytes;
      this.covered.base = evicted.position;
    }
    if (this.first > 1_000 && this.first > this.events.length / 2) {
      this.events = this.events.slice(this.first);
      this.first = 0;
    }
  }

  /** Forgets everything and covers nothing but what comes after `position`. */
  reset(position: bigint): void {
    this.events = [];
    this.first = 0;
    this.bytes = 0;
    this.covered = { base: position, end: position };
  }

  /**
   * At most `limit` matching events after `position`, and how far it looked; `undefined` if the tail does not reach
   * back that far.
   */
  after(
    position: bigint,
    limit: number,
    matches: (event: RecordedEvent) => boolean,
  ): { readonly events: readonly RecordedEvent[]; readonly position: bigint } | undefined {
    if (position < this.covered.base) return undefined;
    if (position >= this.covered.end) return { events: [], position };
    const found: RecordedEvent[] = [];
    const start = this.indexAfter(position);
    const stop = Math.min(this.events.length, start + MOST_LOOKED_AT);
    for (let index = start; index < stop; index++) {
      const event = this.events[index]!;
      if (!matches(event)) continue;
      found.push(event);
      if (found.length === limit) return { events: found, position: event.position };
    }
    return {
      events: found,
      position: stop === this.events.length ? this.covered.end : this.events[stop - 1]!.position,
    };
  }

  private indexAfter(position: bigint): number {
    let low = this.first;
    let high = this.events.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.events[middle]!.position > position) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
