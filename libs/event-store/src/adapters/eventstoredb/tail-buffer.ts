import type { RecordedEvent } from '../../event-store.js';

/** What the buffer knows after some position. */
export interface TailPage {
  readonly events: readonly RecordedEvent[];
  /** Everything up to here was looked at. */
  readonly position: bigint;
}

/**
 * The newest events of the log, without gaps: everything after {@link start}. Every subscription of the process reads
 * live events from here, so that each crosses the wire once and is parsed at most once. Bounded: the oldest are
 * forgotten, and a subscription that is still behind them reads the log instead.
 */
export class TailBuffer {
  private events: (RecordedEvent | undefined)[] = [];
  /** Index of the oldest event that is kept; the array is compacted now and then. */
  private first = 0;
  private bytes = 0;
  private from: bigint | undefined;
  private last = 0n;

  constructor(
    private readonly maxEvents = 20_000,
    private readonly maxBytes = 32 * 1024 * 1024,
  ) {}

  /** Nothing before the first call is known; from now on everything after `position` will be pushed. */
  begin(position: bigint): void {
    if (this.from !== undefined) return;
    this.from = position;
    this.last = position;
  }

  /** How far the log has been seen; `undefined` before the beginning. */
  get seen(): bigint | undefined {
    return this.from === undefined ? undefined : this.last;
  }

  /** In log order. */
  push(event: RecordedEvent): void {
    // A resubscription may deliver again what was seen.
    if (event.position <= this.last && event.position > 0n) return;
    this.passed(event.position);
    this.events.push(event);
    this.bytes += event.bytes;
    while (this.events.length - this.first > this.maxEvents || this.bytes > this.maxBytes) this.forgetOldest();
  }

  /** The log was seen up to `position`, where there is nothing to keep. */
  passed(position: bigint): void {
    if (position > this.last) this.last = position;
  }

  /** Whether nothing after `position` has been forgotten. */
  covers(position: bigint): boolean {
    return this.from !== undefined && position >= this.from;
  }

  /** At most `limit` matching events after `position`, which the buffer must cover. */
  after(position: bigint, matches: (event: RecordedEvent) => boolean, limit: number): TailPage {
    const found: RecordedEvent[] = [];
    for (let at = this.indexAfter(position); at < this.events.length; at++) {
      const event = this.events[at]!;
      if (!matches(event)) continue;
      found.push(event);
      if (found.length === limit) return { events: found, position: event.position };
    }
    return { events: found, position: this.last > position ? this.last : position };
  }

  private indexAfter(position: bigint): number {
    let low = this.first;
    let high = this.events.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.events[middle]!.position > position) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  private forgetOldest(): void {
    const oldest = this.events[this.first]!;
    this.from = oldest.position;
    this.bytes -= oldest.bytes;
    // At once: a thousand events may be a gigabyte.
    this.events[this.first++] = undefined;
    if (this.first < 1024 || this.first * 2 < this.events.length) return;
    this.events = this.events.slice(this.first);
    this.first = 0;
  }
}
