import type { Uuid } from '#libs/kernel/src/ids.js';

import { matcher } from '../event-filter.js';
import type { AllPage, ReadAllOptions, RecordedEvent, SubscribeOptions } from '../event-store.js';

/** Events of one shared page. */
const PAGE = 2_000;
/** Pages in memory: one is handled while the next ones are read. */
const MOST_PAGES = 3;
/** The pages wait so long for a subscription that takes none, then they move on without it. */
const PATIENCE_MS = 2_000;

/** A part of the log with all its events. */
class SharedPage {
  private ids: ReadonlySet<Uuid> | undefined;

  constructor(
    /** Exclusive. */
    readonly after: bigint,
    readonly upTo: bigint,
    readonly events: readonly RecordedEvent[],
  ) {}

  holds(event: Uuid): boolean {
    this.ids ??= new Set(this.events.map(({ id }) => id));
    return this.ids.has(event);
  }
}

/** What one subscription gets while it is behind. */
export interface CatchUpPage extends Pick<AllPage, 'events' | 'position'> {
  /** Whether an event is in the part of the log that is in memory. */
  readonly isKnown?: (event: Uuid) => boolean;
}

type ReadAll = (options: ReadAllOptions) => Promise<AllPage>;

/**
 * One reader for all subscriptions of a process that are behind at the same place, as after the views were removed. Each page is
 * transferred once and each event parsed once, and the next page is read while this one is handled.
 *
 * A subscription that wants every event opens the pages. One that wants some types joins where its place is in them;
 * elsewhere it reads pages of its own, which the log filters. All go at the pace of the slowest. One that stands still is left
 * behind after {@link PATIENCE_MS}, and reads pages of its own.
 */
export class SharedPages {
  private pages: SharedPage[] = [];
  /** Where the next page begins; absent while nobody shares. */
  private next: bigint | undefined;
  /** The newest page reached the end of the log. */
  private isAtEnd = false;
  private reading: Promise<AllPage> | undefined;
  private readonly readers = new Set<SharedReader>();
  private readonly sleeping: (() => void)[] = [];

  constructor(
    private readonly readAll: ReadAll,
    private readonly patienceMs = PATIENCE_MS,
  ) {}

  /** Reads for one subscription, while it is behind. */
  reader(options: SubscribeOptions): SharedReader {
    return new SharedReader(this, this.readAll, options);
  }

  join(reader: SharedReader): void {
    this.readers.add(reader);
  }

  leave(reader: SharedReader): void {
    if (!this.readers.delete(reader)) return;
    if (![...this.readers].some(({ shares }) => shares)) {
      this.pages = [];
      this.next = undefined;
    }
    this.wake();
  }

  wake(): void {
    for (const wake of this.sleeping.splice(0)) wake();
  }

  isKnown(event: Uuid): boolean {
    return this.pages.some((page) => page.holds(event));
  }

  /** The page with what follows the place of `reader`; `undefined` where it must read its own. */
  async pageFor(reader: SharedReader): Promise<SharedPage | undefined> {
    for (;;) {
      const { at } = reader;
      const page = this.pages.find(({ after, upTo }) => after <= at && at < upTo);
      reader.shares = page !== undefined || at === this.next || this.open(reader);
      if (!reader.shares) return undefined;
      if (page) {
        if (page === this.pages.at(-1) && !this.isAtEnd && this.hasRoom())
          // A reader that needs the page reads it again, and gets the error.
          this.readNext().catch(() => undefined);
        return page;
      }
      if (this.reading || this.hasRoom()) {
        const { position } = await this.readNext();
        if (position <= at) return undefined;
      } else await this.slowest();
    }
  }

  /** Somebody who wants every event is here, and nobody shares yet. */
  private open({ at }: SharedReader): boolean {
    const all = [...this.readers];
    if (this.reading || all.some(({ shares }) => shares)) return false;
    if (!all.some((other) => other.wantsAll && other.at === at)) return false;
    this.pages = [];
    this.next = at;
    return true;
  }

  private readNext(): Promise<AllPage> {
    const after = this.next!;
    this.reading ??= this.readAll({ after, limit: PAGE })
      .then((page) => {
        if (this.next === after && page.position > after) {
          this.pages.push(new SharedPage(after, page.position, page.events));
          this.next = page.position;
          this.isAtEnd = page.end;
        }
        return page;
      })
      .finally(() => (this.reading = undefined));
    return this.reading;
  }

  /** Forgets what nobody needs any more. */
  private hasRoom(): boolean {
    if (this.pages.length < MOST_PAGES) return true;
    const places = [...this.readers].filter(({ shares }) => shares).map(({ at }) => at);
    this.pages = this.pages.filter(({ upTo }) => places.some((at) => at < upTo));
    return this.pages.length < MOST_PAGES;
  }

  /** Waits until somebody takes a page, or gives up those who have taken none for long. */
  private async slowest(): Promise<void> {
    const { upTo } = this.pages[0]!;
    const late = [...this.readers].filter(({ shares, at }) => shares && at < upTo);
    const patience = Math.max(...late.map(({ tookAt }) => tookAt)) + this.patienceMs - performance.now();
    if (patience <= 0) for (const reader of late) reader.shares = false;
    else
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, patience);
        this.sleeping.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
  }
}

/** One subscription's way through the pages. */
export class SharedReader {
  /** It has taken everything up to here. */
  at: bigint;
  tookAt = performance.now();
  shares = false;
  readonly wantsAll: boolean;
  private readonly matches: (event: RecordedEvent) => boolean;

  constructor(
    private readonly shared: SharedPages,
    private readonly readAll: ReadAll,
    private readonly options: SubscribeOptions,
  ) {
    const { from, filter } = options;
    this.at = typeof from === 'bigint' ? from : 0n;
    this.wantsAll = filter === undefined;
    this.matches = matcher(filter);
    if (from !== 'end') shared.join(this);
  }

  /** At most a batch of what follows `after`. */
  async page(after: bigint): Promise<CatchUpPage> {
    const { filter, batchSize = 500 } = this.options;
    this.at = after;
    this.shared.join(this);
    this.shared.wake();
    const page = await this.shared.pageFor(this);
    const found = page
      ? this.within(page, batchSize)
      : await this.readAll({ after, limit: batchSize, ...(filter && { filter }) });
    this.at = found.position;
    this.tookAt = performance.now();
    return found;
  }

  /** It is no longer behind. */
  leave(): void {
    this.shares = false;
    this.shared.leave(this);
  }

  private within(page: SharedPage, batchSize: number): CatchUpPage {
    const isKnown = (event: Uuid): boolean => page.holds(event) || this.shared.isKnown(event);
    const events: RecordedEvent[] = [];
    for (const event of page.events) {
      if (event.position <= this.at || !this.matches(event)) continue;
      events.push(event);
      if (events.length === batchSize) return { events, position: event.position, isKnown };
    }
    return { events, position: page.upTo, isKnown };
  }
}
