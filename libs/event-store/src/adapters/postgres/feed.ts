import type { AllPage, RecordedEvent } from '../../event-store.js';
import { Tail } from './tail.js';

/** Events of one page when the tail is filled. */
const FILL_PAGE = 500;
/** Beyond this gap the tail starts anew at the head, and subscriptions read pages to get there. */
const MAX_GAP = 5_000n;
/** Own batches kept until the gap before them is filled. */
const MAX_WAITING = 64;

/** Reads `(after, upTo]`. */
export type ReadRange = (after: bigint, upTo: bigint, limit: number) => Promise<AllPage>;

/** A subscription's place among those that are woken. */
export interface Watcher {
  /** Resolves at the next news, or at once if there has been some since `seen`. */
  news(seen: number): Promise<void>;
  /** Wakes this one alone. */
  interrupt(): void;
  leave(): void;
}

/**
 * What this process knows of the newest part of the log. Batches that it wrote itself go from memory to memory; of what
 * others wrote it hears the position, and one read fills the gap for all subscriptions.
 *
 * Up: news of other processes arrives. Down: the connection that brings it is lost; subscriptions say so, and own
 * appends still reach them.
 */
export class Feed {
  readonly tail: Tail;
  /** Counts the changes that subscriptions want to know of. */
  version = 0;
  /** Counts the times that the connection was lost. */
  outages = 0;
  /** Why news of others does not arrive at present. */
  down: string | undefined;
  closed = false;
  private known: bigint;
  private filling = false;
  private readonly sleeping = new Map<symbol, () => void>();
  private watchers = 0;
  private readonly ahead = new Map<bigint, { events: readonly RecordedEvent[]; upTo: bigint }>();

  constructor(
    head: bigint,
    tailBytes: number,
    private readonly read: ReadRange,
  ) {
    this.known = head;
    this.tail = new Tail({ base: head, end: head }, tailBytes);
  }

  /** The newest position that is known to exist. */
  get head(): bigint {
    return this.known;
  }

  /** A batch that this process has stored: all events after `from` up to the last one. */
  committed(events: readonly RecordedEvent[]): void {
    if (events.length === 0) return;
    const from = events[0]!.position - 1n;
    const upTo = events.at(-1)!.position;
    if (upTo > this.known) this.known = upTo;
    if (from > this.tail.end && this.watchers === 0) this.tail.reset(from);
    if (from === this.tail.end) {
      this.tail.push(events, upTo);
      this.takeAhead();
      this.wake();
    } else if (from > this.tail.end) {
      if (this.ahead.size < MAX_WAITING) this.ahead.set(from, { events, upTo });
      this.fill();
    }
  }

  /** The log is known to reach `position`: by a notification, by asking, or by having read that far. */
  noticed(position: bigint): void {
    if (position > this.known) this.known = position;
    if (this.known > this.tail.end && this.watchers > 0) this.fill();
  }

  /** What the tail holds may be hidden by now. */
  forget(): void {
    this.tail.reset(this.tail.end);
    this.wake();
  }

  lost(reason: string): void {
    if (this.down === undefined) this.outages++;
    this.down = reason;
    this.wake();
  }

  restored(head: bigint): void {
    this.down = undefined;
    this.noticed(head);
    this.wake();
  }

  close(): void {
    this.closed = true;
    this.wake();
  }

  watch(): Watcher {
    const key = Symbol('watcher');
    this.watchers++;
    return {
      news: (seen) =>
        seen === this.version ? new Promise((resolve) => this.sleeping.set(key, resolve)) : Promise.resolve(),
      interrupt: () => {
        this.sleeping.get(key)?.();
        this.sleeping.delete(key);
      },
      leave: () => void this.watchers--,
    };
  }

  wake(): void {
    this.version++;
    const resolves = [...this.sleeping.values()];
    this.sleeping.clear();
    for (const resolve of resolves) resolve();
  }

  private fill(): void {
    if (this.filling) return;
    this.filling = true;
    // Each subscription then reads pages of its own, and meets what is wrong where it can say so.
    this.fillUp().catch(() => this.startAnew());
  }

  private async fillUp(): Promise<void> {
    try {
      while (this.tail.end < this.known && !this.closed) {
        const start = this.tail.end;
        if (this.known - start > MAX_GAP) this.startAnew();
        else {
          const page = await this.read(start, this.nextAhead() ?? this.known, FILL_PAGE);
          if (page.position <= start) return;
          // Own batches may have joined while the page was read; the end never moves back, so there is no gap.
          const { end } = this.tail;
          if (page.position > end)
            this.tail.push(
              page.events.filter(({ position }) => position > end),
              page.position,
            );
        }
        this.takeAhead();
        this.wake();
      }
    } finally {
      this.filling = false;
    }
  }

  private startAnew(): void {
    this.ahead.clear();
    this.tail.reset(this.known);
    this.wake();
  }

  private nextAhead(): bigint | undefined {
    let next: bigint | undefined;
    for (const from of this.ahead.keys()) if (next === undefined || from < next) next = from;
    return next;
  }

  private takeAhead(): void {
    for (let next = this.ahead.get(this.tail.end); next; next = this.ahead.get(this.tail.end)) {
      this.ahead.delete(this.tail.end);
      this.tail.push(next.events, next.upTo);
    }
    for (const from of this.ahead.keys()) if (from < this.tail.end) this.ahead.delete(from);
  }
}
