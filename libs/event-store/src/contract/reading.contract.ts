import { expect, test } from '@jest/globals';

import type { EventFilter, EventStore, RecordedEvent } from '../event-store.js';
import { anEvent, aPrefix, aStream, idsOf, readEverything, readPages, revisionsOf, someEvents } from './given.js';
import { group } from './group.js';
import type { Open } from './open-store.js';

const revisions = (...numbers: number[]): bigint[] => numbers.map(BigInt);

/** Two streams of two types, interleaved: a0 b0 a1 b1 a2 b2; even revisions are `kind.even`. */
async function interleaved(store: EventStore, prefix: string): Promise<RecordedEvent[]> {
  for (let n = 0; n < 3; n++)
    for (const name of ['a', 'b']) {
      const event = anEvent({ type: n % 2 === 0 ? 'kind.even' : 'kind.odd' });
      await store.append(`${prefix}${name}`, [event], n === 0 ? 'no-stream' : BigInt(n - 1));
    }
  return readEverything(store, { filter: { streamPrefixes: [prefix] } });
}

/** Streams, the whole log, filters, pages, retention. */
export function reading(open: Open): void {
  group('reading a stream', open, (subject) => {
    test('finds nothing in an unknown stream', async () => {
      expect(await subject.store.readStream(aStream())).toEqual([]);
      expect(await subject.store.readStream(aStream(), { direction: 'backwards' })).toEqual([]);
    });

    test('reads forwards and backwards, inclusive of where it starts, up to the limit', async () => {
      const stream = aStream();
      await subject.store.append(stream, someEvents(10), 'no-stream');
      const read = async (options: Parameters<EventStore['readStream']>[1]) =>
        revisionsOf(await subject.store.readStream(stream, options));
      expect(await read({ from: 7n })).toEqual(revisions(7, 8, 9));
      expect(await read({ from: 2n, limit: 3 })).toEqual(revisions(2, 3, 4));
      expect(await read({ from: 10n })).toEqual([]);
      expect(await read({ direction: 'backwards', limit: 3 })).toEqual(revisions(9, 8, 7));
      expect(await read({ direction: 'backwards', from: 2n })).toEqual(revisions(2, 1, 0));
      expect(await read({ direction: 'backwards', from: 100n, limit: 2 })).toEqual(revisions(9, 8));
      expect(await read({ limit: 10 })).toHaveLength(10);
    });

    test('reads 1,000 events when no limit is given, and the next from there', async () => {
      const stream = aStream();
      await subject.store.append(stream, someEvents(600), 'no-stream');
      await subject.store.append(stream, someEvents(600), 599n);
      const first = await subject.store.readStream(stream);
      expect(first).toHaveLength(1000);
      expect(await subject.store.readStream(stream, { from: first.at(-1)!.revision + 1n })).toHaveLength(200);
    });

    test('reads what it has just appended', async () => {
      const stream = aStream();
      for (let n = 0; n < 20; n++) {
        await subject.store.append(stream, [anEvent()], n === 0 ? 'no-stream' : BigInt(n - 1));
        expect(await subject.store.readStream(stream)).toHaveLength(n + 1);
      }
    });

    test('gives a whole page of large events', async () => {
      const stream = aStream();
      const data = JSON.stringify({ text: 'x'.repeat(900_000) });
      for (let n = 0; n < 12; n++)
        await subject.store.append(stream, [anEvent({ data })], n === 0 ? 'no-stream' : BigInt(n - 1));
      const events = await subject.store.readStream(stream, { limit: 12 });
      expect(revisionsOf(events)).toEqual(revisions(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11));
      expect(events.every(({ dataJson }) => dataJson === data)).toBe(true);
      const all = await readEverything(subject.store, { filter: { streamPrefixes: [stream] } });
      expect(revisionsOf(all)).toEqual(revisionsOf(events));
    });
  });

  group('reading the log', open, (subject) => {
    test('has one order over all streams, in which each stream keeps its own', async () => {
      const prefix = aPrefix();
      const events = await interleaved(subject.store, prefix);
      expect(events.map(({ stream, revision }) => `${stream.slice(prefix.length)}${revision}`)).toEqual([
        ...['a0', 'b0', 'a1', 'b1', 'a2', 'b2'],
      ]);
      for (const [n, { position }] of events.entries())
        if (n > 0) expect(position).toBeGreaterThan(events[n - 1]!.position);
    });

    test('reads the same backwards', async () => {
      const prefix = aPrefix();
      const events = await interleaved(subject.store, prefix);
      const filter = { streamPrefixes: [prefix] };
      const back = await readEverything(subject.store, {
        direction: 'backwards',
        filter,
        from: events.at(-1)!.position,
      });
      expect(idsOf(back)).toEqual(idsOf(events).reverse());
      const unbounded = await readEverything(subject.store, { direction: 'backwards', filter, limit: 2 });
      expect(idsOf(unbounded)).toEqual(idsOf(events).reverse());
    });

    test('starts at a position inclusively, and after a position exclusively', async () => {
      const prefix = aPrefix();
      const events = await interleaved(subject.store, prefix);
      const filter = { streamPrefixes: [prefix] };
      for (const [n, { position }] of events.entries()) {
        const ids = idsOf(events);
        expect(idsOf(await readEverything(subject.store, { from: position, filter }))).toEqual(ids.slice(n));
        expect(idsOf(await readEverything(subject.store, { after: position, filter }))).toEqual(ids.slice(n + 1));
        const back = { direction: 'backwards', filter } as const;
        const before = ids.slice(0, n).reverse();
        expect(idsOf(await readEverything(subject.store, { ...back, from: position }))).toEqual([ids[n], ...before]);
        expect(idsOf(await readEverything(subject.store, { ...back, after: position }))).toEqual(before);
      }
    });

    test.each([1, 2, 3, 5, 6, 7])('visits each event once in pages of %i, in both directions', async (limit) => {
      const prefix = aPrefix();
      const events = await interleaved(subject.store, prefix);
      const filter = { streamPrefixes: [prefix] };
      for (const direction of ['forwards', 'backwards'] as const) {
        const pages = await readPages(subject.store, { direction, filter, limit });
        const ids = pages.flatMap((page) => idsOf(page.events));
        expect(direction === 'forwards' ? ids : ids.reverse()).toEqual(idsOf(events));
        for (const page of pages) expect(page.events.length).toBeLessThanOrEqual(limit);
      }
    });

    test('says how far it looked where nothing matched, and that this was the end', async () => {
      const prefix = aPrefix();
      const events = await interleaved(subject.store, prefix);
      const start = events[0]!.position;
      const [page, ...others] = (
        await readPages(subject.store, { from: start, filter: { types: ['never.happened'] }, limit: 10 })
      ).toReversed();
      expect([page!, ...others].flatMap((each) => each.events)).toEqual([]);
      expect(page!.end).toBe(true);
      expect(page!.position).toBeGreaterThanOrEqual(events.at(-1)!.position);
    });

    const filters: [string, (prefix: string) => EventFilter, string[]][] = [
      ['one type', () => ({ types: ['kind.odd'] }), ['a1', 'b1']],
      ['several types', () => ({ types: ['kind.odd', 'kind.even'] }), ['a0', 'b0', 'a1', 'b1', 'a2', 'b2']],
      ['a prefix', (prefix) => ({ streamPrefixes: [`${prefix}b`] }), ['b0', 'b1', 'b2']],
      [
        'several prefixes',
        (prefix) => ({ streamPrefixes: [`${prefix}a`, `${prefix}b`, `${prefix}c`] }),
        ['a0', 'b0', 'a1', 'b1', 'a2', 'b2'],
      ],
      ['a type and a prefix', (prefix) => ({ types: ['kind.even'], streamPrefixes: [`${prefix}a`] }), ['a0', 'a2']],
      ['no type', () => ({ types: [] }), []],
      ['no prefix', () => ({ streamPrefixes: [] }), []],
      ['types but no prefix', () => ({ types: ['kind.odd'], streamPrefixes: [] }), []],
      ['wildcards, which are ordinary characters', (prefix) => ({ streamPrefixes: [`${prefix}%`, `${prefix}_`] }), []],
      ['a type in another case', () => ({ types: ['Kind.Odd'] }), []],
    ];
    test.each(filters)('filters by %s', async (_, filterFor, expected) => {
      const prefix = aPrefix();
      const events = await interleaved(subject.store, prefix);
      const names = (found: readonly RecordedEvent[]): string[] =>
        found
          .filter(({ stream }) => stream.startsWith(prefix))
          .map(({ stream, revision }) => `${stream.slice(prefix.length)}${revision}`);
      const filter = filterFor(prefix);
      expect(names(await readEverything(subject.store, { from: events[0]!.position, filter }))).toEqual(expected);
      const back = { direction: 'backwards', from: events.at(-1)!.position, filter } as const;
      expect(names(await readEverything(subject.store, back)).reverse()).toEqual(expected);
    });

    test('knows its head, which no event is beyond', async () => {
      const { position } = await subject.store.append(aStream(), someEvents(2), 'no-stream');
      expect(await subject.store.head()).toBeGreaterThanOrEqual(position);
      await subject.store.ping();
    });
  });

  group('retention', open, (subject) => {
    test('hides what is before a revision from the stream and from the log', async () => {
      const prefix = aPrefix();
      const stream = `${prefix}a`;
      await subject.store.append(stream, someEvents(5), 'no-stream');
      await subject.store.append(`${prefix}b`, someEvents(2), 'no-stream');
      await subject.store.truncateBefore(stream, 3n);
      expect(revisionsOf(await subject.store.readStream(stream))).toEqual(revisions(3, 4));
      expect(revisionsOf(await subject.store.readStream(stream, { direction: 'backwards', from: 3n }))).toEqual(
        revisions(3),
      );
      const filter = { streamPrefixes: [prefix] };
      expect(revisionsOf(await readEverything(subject.store, { filter }))).toEqual(revisions(3, 4, 0, 1));
      const back = await readEverything(subject.store, { filter, direction: 'backwards', limit: 1 });
      expect(revisionsOf(back)).toEqual(revisions(1, 0, 4, 3));
    });

    test('lets the stream go on where it was', async () => {
      const stream = aStream();
      await subject.store.append(stream, someEvents(3), 'no-stream');
      await subject.store.truncateBefore(stream, 2n);
      await expect(subject.store.append(stream, [anEvent()], 'no-stream')).rejects.toMatchObject({ actual: 2n });
      expect(await subject.store.append(stream, [anEvent()], 2n)).toMatchObject({ revision: 3n });
      expect(revisionsOf(await subject.store.readStream(stream))).toEqual(revisions(2, 3));
    });

    test('may hide all that there is, and moves forwards only', async () => {
      const stream = aStream();
      await subject.store.append(stream, someEvents(3), 'no-stream');
      await subject.store.truncateBefore(stream, 3n);
      await subject.store.truncateBefore(stream, 1n);
      expect(await subject.store.truncatedBefore(stream)).toBe(3n);
      expect(await subject.store.truncatedBefore(aStream())).toBe(0n);
      expect(await subject.store.readStream(stream)).toEqual([]);
      expect(await subject.store.append(stream, [anEvent()], 2n)).toMatchObject({ revision: 3n });
      expect(revisionsOf(await subject.store.readStream(stream))).toEqual(revisions(3));
      await subject.store.truncateBefore(aStream(), 0n);
    });
  });
}
