import type { AllPage, RecordedEvent } from '../../event-store.js';
import { News } from '../news.js';
import { Tail } from './tail.js';

/** Events of one page when the tail is filled. */
const FILL_PAGE = 500;
/** Beyond this gap the tail starts again at the head, and subscriptions read pages to get there. */
const MAX_GAP = 5_000n;
/** Own batches kept until the gap before them is filled. */
const MAX_WAITING = 64;

/** Reads `(after, upTo]`. */
export type ReadRange = (after: bigint, upTo: bigint, limit: number) => Promise<AllPage>;

/**
 * What this process knows of the newest part of the log. Batches that it wrote itself go from memory to memory; of what
 * others wrote it hears the position, and one read fills the gap for all subscriptions.
 *
 * Up: news of other processes arrives. Down: the connection that brings it is lost; subscriptions say so, and own
 * appends still reach them.
 */
export class Feed {
  readonly tail: Tail;
  readonly news = new News();
  /** Counts the times that the connection was lost. */
  outages = 0;
  /** Why news of others does not arrive at present. */
  down: string | undefined;
  closed = false;
  private known: bigint;
  private filling = false;
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
    if (from > this.tail.end && this.news.watchers === 0) this.tail.reset(from);
    if (from === this.tail.end) {
      this.tail.push(events, upTo);
      this.takeAhead();
      this.news.tell();
    } else if (from > this.tail.end) {
      if (this.ahead.size < MAX_WAITING) this.ahead.set(from, { events, upTo });
      this.fill();
    }
  }

  /** The log is known to reach `position`: by a notification, by asking, or by having read that far. */
  noticed(position: bigint): void {
    if (position > this.known) this.known = position;
    if (this.known > this.tail.end && this.news.watchers > 0) this.fill();
  }

  /** What the tail holds may be hidden by now. */
  forget(): void {
    this.tail.reset(this.tail.end);
    this.news.tell();
  }

  lost(reason: string): void {
    if (this.down === undefined) this.outages++;
    this.down = reason;
    this.news.tell();
  }

  restored(head: bigint): void {
    this.down = undefined;
    this.noticed(head);
    this.news.tell();
  }

  close(): void {
    this.closed = true;
    this.news.tell();
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
        this.news.tell();
      }
    } finally {
      this.filling = false;
    }
  }

  private startAnew(): void {
    this.ahead.clear();
    this.tail.reset(this.known);
    this.news.tell();
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
