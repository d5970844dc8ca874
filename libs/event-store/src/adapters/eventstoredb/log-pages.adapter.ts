import { matcher } from '../../event-filter.js';
import type { AllPage, EventFilter, ReadAllOptions, RecordedEvent } from '../../event-store.js';
import type { Horizon } from './horizon.js';
import { type Page, type Reader, SEARCH_SILENCE_MS } from './reader.adapter.js';
import type { Truncations } from './truncations.adapter.js';
import { isForeign, isHidden, readAllRequest, searchFor, type ServerFilter } from './wire.adapter.js';

/** A page of large events ends here; the next goes on. */
const MAX_PAGE_BYTES = 16 * 1024 * 1024;

/** Pages of `$all`, filtered at the server by types or by streams, and exactly here. */
export class LogPages {
  /** Others were seen to use types of ours: from then on the server is asked by streams, so that it keeps theirs. */
  private typesAreShared = false;

  constructor(
    private readonly reader: Reader,
    private readonly horizon: Horizon,
    private readonly truncations: Truncations,
  ) {}

  /** What nobody may see or did not ask for. */
  matcher(filter: EventFilter | undefined): (event: RecordedEvent) => boolean {
    const matches = matcher(filter);
    return (event) => matches(event) && !isHidden(event) && !this.truncations.hides(event);
  }

  async read(options: ReadAllOptions): Promise<AllPage> {
    const { filter, direction = 'forwards' } = options;
    // Known to be in the log before it is asked: where a read reaches the end, it has passed this.
    const known = this.horizon.position;
    const { types, streamPrefixes } = filter ?? {};
    const forwards = direction === 'forwards';
    if (types?.length === 0 || streamPrefixes?.length === 0) {
      const start = options.after ?? options.from ?? 0n;
      return { events: [], position: forwards ? max(known, start) : 0n, end: true };
    }
    return forwards ? this.forwards(options, known) : this.backwards(options, known);
  }

  private async forwards({ from, after, filter, limit }: ReadAllOptions, known: bigint): Promise<AllPage> {
    const at = max(after ?? from ?? 0n, this.horizon.first);
    // The server includes the event at `after`.
    const count = after === undefined ? limit : limit + 1;
    const page = await this.page({ at: at === 0n ? undefined : at, direction: 'forwards', count }, filter);
    const isAhead = (event: RecordedEvent): boolean =>
      after === undefined ? from === undefined || event.position >= from : event.position > after;
    const matches = this.matcher(filter);
    const found = page.events.filter((event) => isAhead(event) && matches(event));
    // The event at `after` may not have been among what the server found: then there is one too many.
    if (found.length > limit)
      return { events: found.slice(0, limit), position: found[limit - 1]!.position, end: false };
    const end = page.complete && page.events.length < count;
    const last = page.events.at(-1)?.position ?? 0n;
    return { events: found, position: end ? max(known, last, at) : last, end };
  }

  private async backwards({ from, after, filter, limit }: ReadAllOptions, known: bigint): Promise<AllPage> {
    const at = after ?? from;
    const matches = this.matcher(filter);
    // The server leaves out the event at which it starts; one that is wanted is read by itself.
    const first = after === undefined && from !== undefined ? await this.eventAt(from, known) : undefined;
    const own = first !== undefined && matches(first) ? [first] : [];
    if (at === 0n) return { events: own, position: 0n, end: true };
    const count = limit - own.length;
    if (count === 0) return { events: own, position: from!, end: false };
    // From beyond the end the server would read what is not there.
    const where = at !== undefined && at <= known ? at : undefined;
    const page = await this.page({ at: where, direction: 'backwards', count }, filter);
    const isAhead = (event: RecordedEvent): boolean => at === undefined || event.position < at;
    const events = [...own, ...page.events.filter((event) => isAhead(event) && matches(event))];
    const end = page.complete && page.events.length < count;
    return { events, position: end ? 0n : page.events.at(-1)!.position, end };
  }

  private async page(where: Parameters<typeof readAllRequest>[0], filter: EventFilter | undefined): Promise<Page> {
    const search: ServerFilter = searchFor(this.reader.names, filter, this.typesAreShared);
    const limits = { silenceMs: SEARCH_SILENCE_MS, maxBytes: MAX_PAGE_BYTES };
    const page = await this.reader.read(readAllRequest(where, search), limits);
    if (page.events.some(isForeign)) this.typesAreShared = true;
    return page;
  }

  private async eventAt(position: bigint, known: bigint): Promise<RecordedEvent | undefined> {
    if (position > known) return undefined;
    const request = readAllRequest({ at: position, direction: 'forwards', count: 1 }, 'everything');
    const [event] = (await this.reader.read(request)).events;
    return event?.position === position ? event : undefined;
  }
}

const max = (...positions: readonly bigint[]): bigint => positions.reduce((a, b) => (b > a ? b : a));
