import type { EventStore, RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { PastKind, PastThing } from '#libs/event-store/src/past-kind.js';
import { readWhole } from '#libs/event-store/src/reading.js';
import { Rejected } from '#libs/kernel/src/errors.js';

const PAGE = 2_000;
/** Most things over all states that are kept: some 100 MB if each has 1 KB of its own. */
const MOST_KEPT = 100_000;
/** Most things of one list. */
const MOST_THINGS = 200_000;

export type Things = ReadonlyMap<string, PastThing>;

interface Kept {
  readonly kind: PastKind;
  readonly upTo: bigint;
  readonly things: Things;
}

/**
 * The state of things at a place in the log. A list is folded from the log, beginning with what was folded last for an
 * earlier place; a single thing is folded from its own stream. States share what has not changed.
 */
export class Past {
  /** The one that was used last comes last. */
  private readonly kept: Kept[] = [];

  constructor(
    private readonly store: EventStore,
    private readonly mostKept = MOST_KEPT,
  ) {}

  /** All things of a kind, of all organisations, with those that have ended. */
  async things(kind: PastKind, upTo: bigint): Promise<Things> {
    const base = this.nearest(kind, upTo);
    if (base?.upTo === upTo) {
      this.keep(base);
      return base.things;
    }
    const things = new Map(base?.things);
    for await (const event of this.events([kind], { after: base?.upTo ?? 0n, upTo })) {
      const thing = kind.after(event, (id) => things.get(id));
      if (thing) things.set(thing.id, thing);
      if (things.size > MOST_THINGS)
        throw new Rejected(
          'invalid',
          'as_of.too_many',
          `There are more than ${MOST_THINGS} ${kind.name}: ask for one by its id, or search its events with GET /api/v1/events.`,
        );
    }
    this.keep({ kind, upTo, things });
    return things;
  }

  /** One thing, also one that has ended; `undefined` if there never was one. */
  async thing(kind: PastKind, stream: string, upTo: bigint): Promise<PastThing | undefined> {
    let thing: PastThing | undefined;
    for (const event of await readWhole(this.store, stream)) {
      if (event.position > upTo) break;
      thing = kind.after(event, () => thing) ?? thing;
    }
    return thing;
  }

  /** What happened to things of these kinds after a place and up to another one. */
  async *events(
    kinds: readonly PastKind[],
    { after, upTo }: { readonly after: bigint; readonly upTo: bigint },
  ): AsyncGenerator<RecordedEvent> {
    const types = kinds.flatMap(({ reads }) => reads);
    let position = after;
    while (position < upTo) {
      const page = await this.store.readAll({ after: position, filter: { types }, limit: PAGE });
      for (const event of page.events) {
        if (event.position > upTo) return;
        yield event;
      }
      if (page.end) return;
      position = page.position;
    }
  }

  private nearest(kind: PastKind, upTo: bigint): Kept | undefined {
    const earlier = this.kept.filter((one) => one.kind === kind && one.upTo <= upTo);
    return earlier.reduce<Kept | undefined>((best, one) => (best && best.upTo > one.upTo ? best : one), undefined);
  }

  /** As the one that was used last. What was used longest ago makes room. */
  private keep(one: Kept): void {
    const known = this.kept.findIndex(({ kind, upTo }) => kind === one.kind && upTo === one.upTo);
    if (known >= 0) this.kept.splice(known, 1);
    this.kept.push(one);
    // An empty state takes room too.
    let size = this.kept.reduce((sum, { things }) => sum + things.size + 100, 0);
    while (size > this.mostKept && this.kept.length > 0) size -= this.kept.shift()!.things.size + 100;
  }
}
