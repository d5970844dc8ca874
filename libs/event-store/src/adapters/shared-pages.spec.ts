import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { matcher } from '../event-filter.js';
import { type AllPage, type ReadAllOptions, RecordedEvent, type SubscribeOptions } from '../event-store.js';
import { SharedPages, type SharedReader } from './shared-pages.js';

const { signal } = new AbortController();
const TYPES = ['a', 'b', 'rare'];

/** A log in memory that tells what was read. */
class SomeLog {
  readonly events: readonly RecordedEvent[];
  readonly reads: ReadAllOptions[] = [];
  error: Error | undefined;

  constructor(types: readonly string[]) {
    this.events = types.map((type, index) => {
      const at = BigInt(index + 1);
      return new RecordedEvent(`stream-${at}`, 0n, at, `id-${at}`, type, new Date(0), '{}', '{}');
    });
  }

  readonly readAll = async (options: ReadAllOptions): Promise<AllPage> => {
    this.reads.push(options);
    await Promise.resolve();
    if (this.error) throw this.error;
    const matches = matcher(options.filter);
    const ahead = this.events.filter((event) => event.position > options.after! && matches(event));
    const events = ahead.slice(0, options.limit);
    const head = BigInt(this.events.length);
    const end = events.length === ahead.length;
    return { events, position: end ? head : events.at(-1)!.position, end };
  };
}

const of = (length: number): SomeLog => new SomeLog(Array.from({ length }, (_, index) => TYPES[index % 2]!));
const wants = (from: bigint | 'start', types?: readonly string[], batchSize = 500): SubscribeOptions => ({
  from,
  ...(types && { filter: { types } }),
  batchSize,
  signal,
});

/** Reads to the end, with `turns` turns of the event loop for each batch. */
async function toTheEnd(log: SomeLog, reader: SharedReader, from: bigint, turns = 0): Promise<bigint[]> {
  const seen: bigint[] = [];
  for (let at = from; at < BigInt(log.events.length);) {
    const { events, position } = await reader.page(at);
    expect(position).toBeGreaterThan(at);
    seen.push(...events.map((event) => event.position));
    at = position;
    for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate);
  }
  reader.leave();
  return seen;
}

describe('pages that are shared', () => {
  it('are read once for all that begin at the same place, also for those that want some types', async () => {
    const log = of(9_000);
    const pages = new SharedPages(log.readAll);
    const [some, all, other] = [['b'], undefined, undefined].map((types) => pages.reader(wants('start', types)));
    const seen = await Promise.all([some!, all!, other!].map((reader) => toTheEnd(log, reader, 0n)));
    expect(seen.map(({ length }) => length)).toEqual([4_500, 9_000, 9_000]);
    expect(log.reads).toHaveLength(5);
    expect(log.reads.every(({ filter }) => filter === undefined)).toBe(true);
  });

  it('are not read where nobody wants every event: then the log filters', async () => {
    const log = of(3_000);
    const pages = new SharedPages(log.readAll);
    const readers = [pages.reader(wants('start', ['a'])), pages.reader(wants('start', ['b']))];
    await Promise.all(readers.map((reader) => toTheEnd(log, reader, 0n)));
    expect(log.reads.every(({ filter }) => filter !== undefined)).toBe(true);
  });

  it('give each what it would have read by itself, wherever it begins and however slow it is', async () => {
    const reader = fc.record({
      from: fc.nat(5_000),
      types: fc.option(fc.subarray(TYPES, { minLength: 1 }), { nil: undefined }),
      batchSize: fc.integer({ min: 20, max: 3_000 }),
      turns: fc.nat(3),
    });
    const types = Array.from({ length: 7_000 }, (_, index) => (index % 997 === 0 ? 'rare' : TYPES[index % 2]!));
    await fc.assert(
      fc.asyncProperty(fc.array(reader, { minLength: 1, maxLength: 5 }), async (plans) => {
        const log = new SomeLog(types);
        const pages = new SharedPages(log.readAll);
        await Promise.all(
          plans.map(async ({ from, types: wanted, batchSize, turns }) => {
            const seen = await toTheEnd(log, pages.reader(wants(BigInt(from), wanted, batchSize)), BigInt(from), turns);
            const own = log.events.slice(from).filter(({ type }) => wanted?.includes(type) ?? true);
            expect(seen).toEqual(own.map(({ position }) => position));
          }),
        );
      }),
      { numRuns: 25 },
    );
  });

  it('move on without a reader that stands still, which reads its own pages later', async () => {
    const log = of(20_000);
    const pages = new SharedPages(log.readAll, 0);
    const [stuck, other] = [pages.reader(wants('start')), pages.reader(wants('start'))];
    const first = await stuck.page(0n);
    expect(await toTheEnd(log, other, 0n)).toHaveLength(20_000);
    const rest = await toTheEnd(log, stuck, first.position);
    expect(first.events.length + rest.length).toBe(20_000);
  });

  it('hold few pages: nobody reads ahead of the slowest without bound', async () => {
    const log = of(50_000);
    const pages = new SharedPages(log.readAll, 3_600_000);
    const [slow, fast] = [pages.reader(wants('start')), pages.reader(wants('start'))];
    await slow.page(0n);
    let done = false;
    const reading = toTheEnd(log, fast, 0n).then(() => (done = true));
    for (let turn = 0; turn < 200; turn++) await new Promise(setImmediate);
    expect(done).toBe(false);
    expect(log.reads.length).toBeLessThanOrEqual(4);
    slow.leave();
    await reading;
  });

  it('tell every reader of a read that fails, and are read again', async () => {
    const log = of(100);
    const pages = new SharedPages(log.readAll);
    const readers = [pages.reader(wants('start')), pages.reader(wants('start'))];
    log.error = new Error('gone');
    const answers = await Promise.allSettled(readers.map((reader) => reader.page(0n)));
    expect(answers.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    log.error = undefined;
    await expect(Promise.all(readers.map((reader) => toTheEnd(log, reader, 0n)))).resolves.toHaveLength(2);
  });

  it('tell what was read ahead', async () => {
    const log = of(9_000);
    const pages = new SharedPages(log.readAll);
    const reader = pages.reader(wants('start'));
    const { isKnown } = await reader.page(0n);
    for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
    expect(['id-1', 'id-2001', 'id-9000'].map((id) => isKnown!(id))).toEqual([true, true, false]);
  });
});
