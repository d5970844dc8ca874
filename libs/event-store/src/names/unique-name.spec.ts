import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { streams } from '#libs/events/src/streams.js';

import { namedThing, rename } from '../../testing/named-thing.js';
import { MemoryEventStore } from '../adapters/memory/memory-event-store.js';
import { fold } from '../command-handlers.js';
import type { EventStore, EventToAppend, ExpectedRevision } from '../event-store.js';

const IDS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j'];

const nameOf = async (store: EventStore, id: string): Promise<number> =>
  fold(namedThing, await store.readStream(namedThing.stream(id)));
async function holders(store: EventStore, name: number): Promise<string[]> {
  const names = await Promise.all(IDS.map((id) => nameOf(store, id)));
  return IDS.filter((_, n) => names[n] === name);
}

/** Holds back the first append to one stream. */
class SlowStore extends MemoryEventStore {
  release!: () => void;
  reached!: () => void;
  readonly isReached = new Promise<void>((resolve) => (this.reached = resolve));
  private isHeld = false;
  private readonly released = new Promise<void>((resolve) => (this.release = resolve));

  constructor(
    private readonly slow: string,
    now?: () => Date,
  ) {
    super(now);
  }
  override async append(stream: string, events: readonly EventToAppend[], expected: ExpectedRevision) {
    if (stream === this.slow && !this.isHeld) {
      this.isHeld = true;
      this.reached();
      await this.released;
    }
    return super.append(stream, events, expected);
  }
}
/** Whatever was reserved was reserved long ago. */
const longAgo = (): Date => new Date(0);

describe('a name that only one can have', () => {
  it('goes to one of ten that ask at once', async () => {
    const store = new MemoryEventStore();
    const has = await Promise.all(IDS.map((id) => rename(store, id, 1)));
    expect(has.filter(Boolean)).toHaveLength(1);
    expect(await holders(store, 1)).toEqual(IDS.filter((_, n) => has[n]));
  });

  it('goes to whoever reserved it first, while the others wait for that one', async () => {
    const store = new SlowStore(namedThing.stream('a'));
    const first = rename(store, 'a', 1);
    await store.isReached;
    const second = rename(store, 'b', 1);
    store.release();
    expect(await Promise.all([first, second])).toEqual([true, false]);
  });

  it('is free again when it is given up, also for others, and at once', async () => {
    const store = new MemoryEventStore();
    expect(await rename(store, 'a', 1)).toBe(true);
    expect(await rename(store, 'a', 2)).toBe(true);
    expect(await rename(store, 'b', 1)).toBe(true);
    expect(await rename(store, 'a', 1)).toBe(false);
    expect(await rename(store, 'b', 0)).toBe(true);
    expect(await rename(store, 'a', 1)).toBe(true);
    // Nobody had to be ended for that.
    const all = await store.readAll({ filter: { types: ['name.lapsed'] }, limit: 1 });
    expect(all.events).toEqual([]);
  });

  it('is reserved once for each time it is taken, and not by changes that keep it', async () => {
    const store = new MemoryEventStore();
    await rename(store, 'a', 1);
    await rename(store, 'a', 1);
    expect(await store.readStream(streams.name('thing', 'org_1', '1'))).toHaveLength(1);
  });

  it('goes to the next where the first did not take it in time, and the first is refused should it try after all', async () => {
    const store = new SlowStore(namedThing.stream('a'), longAgo);
    const first = rename(store, 'a', 1);
    await store.isReached;
    expect(await rename(store, 'b', 1)).toBe(true);
    store.release();
    expect(await first).toBe(false);
    expect(await holders(store, 1)).toEqual(['b']);
    expect((await store.readStream(namedThing.stream('a'))).map(({ type }) => type)).toEqual(['name.lapsed']);
    expect(await rename(store, 'a', 2)).toBe(true);
  });

  it('is never had by two, in whatever order reads and appends happen', async () => {
    const operation = fc.record({ id: fc.constantFrom('a', 'b', 'c', 'd'), name: fc.constantFrom(0, 1, 2) });
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), fc.array(operation, { minLength: 2, maxLength: 6 }), async (s, operations) => {
        const memory = new MemoryEventStore(longAgo);
        const append = memory.append.bind(memory);
        const readStream = memory.readStream.bind(memory);
        memory.readStream = s.scheduleFunction(readStream);
        const twice: string[][] = [];
        const scheduled = s.scheduleFunction(append);
        memory.append = async (...given) => {
          const result = await scheduled(...given);
          for (const name of [1, 2]) {
            const streamsOf = await Promise.all(IDS.map((id) => readStream(namedThing.stream(id))));
            const had = IDS.filter((_, n) => fold(namedThing, streamsOf[n]!) === name);
            if (had.length > 1) twice.push(had);
          }
          return result;
        };
        const done = Promise.allSettled(operations.map(({ id, name }) => rename(memory, id, name)));
        await s.waitFor(done);
        expect(twice).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });
});
