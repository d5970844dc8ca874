import { expect, test } from '@jest/globals';
import fc from 'fast-check';

import { uuid5 } from '#libs/kernel/src/ids.js';

import { MemoryEventStore } from '../adapters/memory/memory-event-store.js';
import type { EventFilter, EventStore, EventToAppend, ExpectedRevision, RecordedEvent } from '../event-store.js';
import { WrongRevision } from '../event-store.js';
import { Follower } from './follower.js';
import { anEvent, aPrefix, readEverything } from './given.js';
import { group } from './group.js';
import type { Open } from './open-store.js';

const STREAMS = ['a', 'ab', 'b', 'c%'];
const TYPES = ['model.one', 'model.two', 'model.three'];

type Operation =
  /** Ids are numbers from a small range, so that appends repeat and overlap by chance. */
  | { kind: 'append'; stream: string; ids: number[]; type: string; expected: number | 'no-stream' | 'stream-exists' }
  /** The n-th append so far, once more: as after an unknown outcome. */
  | { kind: 'repeat'; nth: number }
  | { kind: 'read-stream'; stream: string; from: number | undefined; backwards: boolean; limit: number }
  | {
      kind: 'read-all';
      from: number | undefined;
      after: boolean;
      backwards: boolean;
      limit: number;
      filter: EventFilter;
    }
  | { kind: 'subscribe'; from: number | undefined; filter: EventFilter; batchSize: number }
  | { kind: 'truncate'; stream: string; before: number };

const stream = fc.constantFrom(...STREAMS);
const place = fc.option(fc.nat(20), { nil: undefined });
const subset = (from: readonly string[]) => fc.option(fc.subarray([...from]), { nil: undefined });
const filter = fc
  .record({ types: subset(TYPES), streamPrefixes: subset(['a', 'ab', 'b', 'c', 'c%', 'd']) })
  .map(({ types, streamPrefixes }) => ({ ...(types && { types }), ...(streamPrefixes && { streamPrefixes }) }));
const backwards = fc.boolean();
const limit = fc.integer({ min: 1, max: 12 });

const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('append' as const),
      stream,
      ids: fc.array(fc.nat(30), { minLength: 1, maxLength: 4 }),
      type: fc.constantFrom(...TYPES),
      expected: fc.oneof(
        { weight: 4, arbitrary: fc.integer({ min: 0, max: 8 }) },
        { weight: 3, arbitrary: fc.constant('no-stream' as const) },
        { weight: 1, arbitrary: fc.constant('stream-exists' as const) },
      ),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('repeat' as const), nth: fc.nat(20) }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('read-stream' as const), stream, from: place, backwards, limit }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('read-all' as const),
      from: place,
      after: fc.boolean(),
      backwards,
      limit,
      filter,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('subscribe' as const), from: place, filter, batchSize: limit }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('truncate' as const), stream, before: fc.integer({ min: 0, max: 4 }) }),
  },
);

/** A random sequence of operations on the adapter and on memory: at each step both say the same. */
export function modelled(open: Open): void {
  group('against the model', open, (subject) => {
    test('a random sequence of operations has the same outcomes as in memory', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(operation, { minLength: 5, maxLength: 40, size: 'max' }), async (operations) => {
          const pair = new Pair(subject.store, aPrefix());
          for (const next of operations) await pair.run(next);
          await pair.compareAll();
        }),
        { numRuns: 40 },
      );
    });
  });
}

/** The adapter and the oracle side by side. Positions differ between them, so events are named by stream and revision. */
class Pair {
  private readonly oracle = new MemoryEventStore();
  /** Every append that was tried, for repeating. */
  private readonly tried: { name: string; events: EventToAppend[]; expected: ExpectedRevision }[] = [];
  /** Positions of visible events in both logs, in order. */
  private readonly known: { oracle: bigint; real: bigint }[] = [];
  private readonly truncated = new Set<string>();

  constructor(
    private readonly store: EventStore,
    private readonly prefix: string,
  ) {}

  async run(operation: Operation): Promise<void> {
    switch (operation.kind) {
      case 'append': {
        const { ids, type } = operation;
        const expected = typeof operation.expected === 'number' ? BigInt(operation.expected) : operation.expected;
        // Without a revision to go by, an id that is in the stream already is EventStoreDB's to judge.
        const salt = expected === 'stream-exists' ? `${this.tried.length}` : '';
        const events = ids.map((id, n) => anEvent({ id: uuid5(this.prefix, `${id}`, salt, salt && `${n}`), type }));
        return this.append(this.prefix + operation.stream, events, expected);
      }
      case 'repeat': {
        const again = this.tried[operation.nth];
        if (again && again.expected !== 'stream-exists') await this.append(again.name, again.events, again.expected);
        return;
      }
      case 'read-stream': {
        const { from, limit: most } = operation;
        const options = {
          limit: most,
          direction: operation.backwards ? ('backwards' as const) : ('forwards' as const),
          ...(from === undefined ? {} : { from: BigInt(from) }),
        };
        const name = this.prefix + operation.stream;
        const read = async (store: EventStore) => this.described(await store.readStream(name, options));
        expect(await read(this.store)).toEqual(await read(this.oracle));
        return;
      }
      case 'read-all':
        return this.readAll(operation);
      case 'subscribe':
        return this.subscribe(operation);
      case 'truncate': {
        const name = this.prefix + operation.stream;
        if ((await this.oracle.readStream(name, { limit: 5 })).length <= operation.before) return;
        this.truncated.add(name);
        await this.store.truncateBefore(name, BigInt(operation.before));
        await this.oracle.truncateBefore(name, BigInt(operation.before));
      }
    }
  }

  async compareAll(): Promise<void> {
    const streamPrefixes = [this.prefix];
    const real = await readEverything(this.store, { filter: { streamPrefixes } });
    const model = await readEverything(this.oracle, { filter: { streamPrefixes } });
    expect(this.described(real)).toEqual(this.described(model));
  }

  private async append(name: string, events: EventToAppend[], expected: ExpectedRevision): Promise<void> {
    const behind = typeof expected === 'bigint' || expected === 'no-stream';
    // Whether truncated events still prove a repeated append is left open by the port.
    if (behind && this.truncated.has(name) && expected !== (await this.lastRevision(name))) return;
    this.tried.push({ name, events, expected });
    const attempt = async (store: EventStore) => {
      try {
        return await store.append(name, events, expected);
      } catch (error) {
        if (error instanceof WrongRevision) return { refused: true as const, actual: error.actual };
        throw error;
      }
    };
    const real = await attempt(this.store);
    const model = await attempt(this.oracle);
    expect({ ...real, position: undefined }).toEqual({ ...model, position: undefined });
    if ('refused' in real || 'refused' in model) return;
    const place = { oracle: model.position, real: real.position };
    if (real.repeated) {
      const original = this.known.find((each) => each.oracle === place.oracle);
      expect(place).toEqual(original ?? place);
    } else this.known.push(place);
  }

  private async lastRevision(name: string): Promise<bigint | undefined> {
    return (await this.oracle.readStream(name, { direction: 'backwards', limit: 1 }))[0]?.revision;
  }

  private async readAll(operation: Operation & { kind: 'read-all' }): Promise<void> {
    const start = operation.from === undefined ? undefined : this.known[operation.from];
    const key = operation.after ? 'after' : 'from';
    const read = async (store: EventStore, position: bigint | undefined) =>
      this.described(
        await readEverything(store, {
          direction: operation.backwards ? 'backwards' : 'forwards',
          limit: operation.limit,
          filter: this.scoped(operation.filter),
          ...(position === undefined ? {} : { [key]: position }),
        }),
      );
    expect(await read(this.store, start?.real)).toEqual(await read(this.oracle, start?.oracle));
  }

  private async subscribe(operation: Operation & { kind: 'subscribe' }): Promise<void> {
    const start = operation.from === undefined ? undefined : this.known[operation.from];
    const { batchSize } = operation;
    const seen = async (store: EventStore, position: bigint | undefined) => {
      const follower = new Follower(store, {
        from: position ?? 'start',
        filter: this.scoped(operation.filter),
        batchSize,
      });
      await follower.untilCaughtUp();
      await follower.stop();
      return this.described(follower.events);
    };
    expect(await seen(this.store, start?.real)).toEqual(await seen(this.oracle, start?.oracle));
  }

  /** A filter that sees nothing of what others have in the log. */
  private scoped(given: EventFilter): EventFilter {
    return { ...given, streamPrefixes: (given.streamPrefixes ?? ['']).map((prefix) => this.prefix + prefix) };
  }

  private described(events: readonly RecordedEvent[]): string[] {
    return events.map(({ stream: name, revision, id, type, dataJson }) =>
      [name.slice(this.prefix.length), revision, id, type, dataJson].join(' '),
    );
  }
}
