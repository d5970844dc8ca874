import { expect, test } from '@jest/globals';

import type { EventFilter } from '../event-store.js';
import { Follower } from './follower.js';
import { anEvent, aPrefix, aStream, idsOf, readEverything, someEvents } from './given.js';
import { group } from './group.js';
import type { Open } from './open-store.js';

const order = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0);

/** Catch-up and live, exclusive of where it starts, each event once, in order. */
export function subscribing(open: Open): void {
  group('subscribing', open, (subject) => {
    test('delivers what is there, says that it has caught up, then delivers what comes', async () => {
      const prefix = aPrefix();
      await subject.store.append(`${prefix}a`, someEvents(3), 'no-stream');
      const follower = new Follower(subject.store, { from: 'start', filter: { streamPrefixes: [prefix] } });
      await follower.untilCaughtUp();
      expect(follower.events).toHaveLength(3);
      const caughtUp = follower.items.findIndex(({ kind }) => kind === 'caught-up');
      await subject.store.append(`${prefix}b`, someEvents(2), 'no-stream');
      await subject.store.append(`${prefix}a`, someEvents(1), 2n);
      await follower.untilEvents(6);
      await follower.stop();
      const all = await readEverything(subject.store, { filter: { streamPrefixes: [prefix] } });
      expect(idsOf(follower.events)).toEqual(idsOf(all));
      const before = follower.items.slice(0, caughtUp).flatMap((item) => (item.kind === 'events' ? item.events : []));
      expect(before).toHaveLength(3);
    });

    test('delivers events as the log reads them', async () => {
      const stream = aStream();
      const given = anEvent({ data: '{ "n": 12345678901234567890 }' });
      const follower = new Follower(subject.store, { from: 'start', filter: { streamPrefixes: [stream] } });
      await follower.untilCaughtUp();
      await subject.store.append(stream, [given], 'no-stream');
      await follower.untilEvents(1);
      await follower.stop();
      const [read] = await subject.store.readStream(stream);
      const [live] = follower.events;
      expect(live).toMatchObject({ stream, revision: 0n, position: read!.position, id: given.id, type: given.type });
      expect(live!.created).toEqual(read!.created);
      expect(live!.dataJson).toBe(given.data);
      expect(live!.metadataJson).toBe(given.metadata);
    });

    test('from the end delivers only what comes', async () => {
      const stream = aStream();
      await subject.store.append(stream, someEvents(3), 'no-stream');
      const follower = new Follower(subject.store, { from: 'end', filter: { streamPrefixes: [stream] } });
      await follower.untilCaughtUp();
      const later = someEvents(2);
      await subject.store.append(stream, later, 2n);
      await follower.untilEvents(2);
      await follower.stop();
      expect(idsOf(follower.events)).toEqual(idsOf(later));
    });

    test('resumes from every position it has given, with exactly the rest', async () => {
      const prefix = aPrefix();
      for (let n = 0; n < 8; n++) await subject.store.append(`${prefix}${n % 3}`, someEvents(1 + (n % 2)), 'any');
      const filter = { streamPrefixes: [prefix] };
      const all = await readEverything(subject.store, { filter });
      const first = new Follower(subject.store, { from: 'start', filter, batchSize: 2 });
      await first.untilEvents(all.length);
      await first.untilCaughtUp();
      await first.stop();
      for (const item of first.items) {
        if (item.kind === 'disconnected') continue;
        const given = first.items.slice(0, first.items.indexOf(item) + 1);
        const seen = given.flatMap((each) => (each.kind === 'events' ? each.events : []));
        const rest = new Follower(subject.store, { from: item.position, filter });
        await rest.untilCaughtUp();
        await rest.stop();
        expect(idsOf(rest.events)).toEqual(idsOf(all.slice(seen.length)));
      }
    });

    test('resumes exclusively from the position of every event', async () => {
      const prefix = aPrefix();
      await subject.store.append(`${prefix}a`, someEvents(4), 'no-stream');
      await subject.store.append(`${prefix}b`, someEvents(3), 'no-stream');
      const filter = { streamPrefixes: [prefix] };
      const all = await readEverything(subject.store, { filter });
      for (const [n, { position }] of all.entries()) {
        const follower = new Follower(subject.store, { from: position, filter });
        await follower.untilCaughtUp();
        await follower.stop();
        expect(idsOf(follower.events)).toEqual(idsOf(all.slice(n + 1)));
      }
    });

    const filters: [string, (prefix: string) => EventFilter, number[]][] = [
      ['types', () => ({ types: ['filtered.odd'] }), [1, 3, 5]],
      ['prefixes', (prefix) => ({ streamPrefixes: [`${prefix}1`, `${prefix}2`] }), [1, 2, 4, 5]],
      ['types and prefixes', (prefix) => ({ types: ['filtered.odd'], streamPrefixes: [`${prefix}1`] }), [1]],
      ['no types', () => ({ types: [] }), []],
      ['no prefixes', () => ({ streamPrefixes: [] }), []],
    ];
    test.each(filters)('filters by %s, in what is there and in what comes', async (_, filterFor, expected) => {
      const prefix = aPrefix();
      const write = async (round: number): Promise<string[]> => {
        const ids: string[] = [];
        for (let n = 0; n < 6; n++) {
          const event = anEvent({ type: n % 2 === 0 ? 'filtered.even' : 'filtered.odd' });
          const last = await subject.store.append(`${prefix}${n % 3}-${round}-${n}`, [event], 'no-stream');
          ids.push(event.id);
          position = last.position;
        }
        return expected.map((n) => ids[n]!);
      };
      let position = await subject.store.head();
      const follower = new Follower(subject.store, { from: position, filter: filterFor(prefix) });
      const old = await write(0);
      await follower.untilCaughtUp();
      const live = await write(1);
      await follower.until('the end of what was written', () => follower.position >= position);
      await follower.stop();
      expect(idsOf(follower.events.filter(({ stream }) => stream.startsWith(prefix)))).toEqual([...old, ...live]);
    });

    test('says how far it has looked where nothing matches, also live', async () => {
      const follower = new Follower(subject.store, { from: 'start', filter: { types: ['never.happened'] } });
      await follower.untilCaughtUp();
      for (let n = 0; n < 3; n++) {
        const { position } = await subject.store.append(aStream(), [anEvent()], 'no-stream');
        await follower.until(`a checkpoint at ${position}`, () => follower.position >= position);
      }
      await follower.stop();
      expect(follower.events).toEqual([]);
      expect(follower.count('checkpoint')).toBeGreaterThan(0);
    });

    test('never goes back with its positions', async () => {
      const prefix = aPrefix();
      const follower = new Follower(subject.store, {
        from: 'start',
        filter: { streamPrefixes: [prefix] },
        batchSize: 3,
      });
      for (let n = 0; n < 20; n++) await subject.store.append(`${prefix}${n}`, someEvents(2), 'no-stream');
      await follower.untilEvents(40);
      await follower.stop();
      const positions = follower.items.flatMap((item) => ('position' in item ? [item.position] : []));
      expect(positions).toEqual(positions.toSorted(order));
      for (const item of follower.items)
        if (item.kind === 'events') expect(item.position).toBeGreaterThanOrEqual(item.events.at(-1)!.position);
    });

    test('gives no more events at once than asked for', async () => {
      const stream = aStream();
      await subject.store.append(stream, someEvents(50), 'no-stream');
      const follower = new Follower(subject.store, {
        from: 'start',
        filter: { streamPrefixes: [stream] },
        batchSize: 7,
      });
      await subject.store.append(stream, someEvents(50), 49n);
      await follower.untilEvents(100);
      await follower.stop();
      const sizes = follower.items.flatMap((item) => (item.kind === 'events' ? [item.events.length] : []));
      expect(Math.max(...sizes)).toBeLessThanOrEqual(7);
      expect(idsOf(follower.events)).toEqual(idsOf(await subject.store.readStream(stream)));
    });

    test('a slow consumer gets everything in the end and holds up nobody', async () => {
      const prefix = aPrefix();
      const filter = { streamPrefixes: [prefix] };
      let release = (): void => undefined;
      const released = new Promise<void>((resolve) => (release = resolve));
      const slow = new Follower(subject.store, { from: 'end', filter }, (item) =>
        item.kind === 'events' ? released : undefined,
      );
      const fast = new Follower(subject.store, { from: 'end', filter });
      await Promise.all([slow.untilCaughtUp(), fast.untilCaughtUp()]);
      const data = JSON.stringify({ text: 'x'.repeat(2_000) });
      for (let n = 0; n < 30; n++)
        await Promise.all(
          Array.from({ length: 50 }, (_, m) =>
            subject.store.append(`${prefix}${n}-${m}`, [anEvent({ data })], 'no-stream'),
          ),
        );
      await fast.untilEvents(1500);
      expect(slow.events.length).toBeLessThan(1500);
      release();
      await slow.untilEvents(1500);
      await Promise.all([slow.stop(), fast.stop()]);
      const all = idsOf(await readEverything(subject.store, { filter, limit: 1000 }));
      expect(idsOf(fast.events)).toEqual(all);
      expect(idsOf(slow.events)).toEqual(all);
    });

    test('many subscriptions each see everything while it is written', async () => {
      const prefix = aPrefix();
      const followers = Array.from(
        { length: 20 },
        (_, n) =>
          new Follower(subject.store, {
            from: n % 2 === 0 ? 'start' : 'end',
            filter: { streamPrefixes: [prefix] },
            batchSize: 1 + n,
          }),
      );
      await Promise.all(followers.map((follower) => follower.untilCaughtUp()));
      await Promise.all(
        Array.from({ length: 100 }, (_, n) => subject.store.append(`${prefix}${n}`, someEvents(2), 'no-stream')),
      );
      await Promise.all(followers.map((follower) => follower.untilEvents(200)));
      await Promise.all(followers.map((follower) => follower.stop()));
      const all = idsOf(await readEverything(subject.store, { filter: { streamPrefixes: [prefix] } }));
      for (const follower of followers) expect(idsOf(follower.events)).toEqual(all);
    });

    test('subscribing while it is written misses nothing at the seam of old and live', async () => {
      const prefix = aPrefix();
      const filter = { streamPrefixes: [prefix] };
      const followers: Follower[] = [];
      for (let n = 0; n < 40; n++) {
        if (n % 4 === 0) followers.push(new Follower(subject.store, { from: 'start', filter }));
        await Promise.all(
          Array.from({ length: 5 }, (_, m) => subject.store.append(`${prefix}${n}-${m}`, [anEvent()], 'no-stream')),
        );
      }
      await Promise.all(followers.map((follower) => follower.untilEvents(200)));
      await Promise.all(followers.map((follower) => follower.stop()));
      const all = idsOf(await readEverything(subject.store, { filter }));
      for (const follower of followers) expect(idsOf(follower.events)).toEqual(all);
    });

    test('does not deliver to a new subscription what retention has hidden', async () => {
      const stream = aStream();
      await subject.store.append(stream, someEvents(4), 'no-stream');
      await subject.store.truncateBefore(stream, 2n);
      const follower = new Follower(subject.store, { from: 'start', filter: { streamPrefixes: [stream] } });
      await follower.untilCaughtUp();
      await follower.stop();
      expect(follower.events.map(({ revision }) => revision)).toEqual([2n, 3n]);
    });

    test('ends when its signal aborts: before the start, while it waits, and between two batches', async () => {
      const stream = aStream();
      await subject.store.append(stream, someEvents(20), 'no-stream');
      const never = new Follower(subject.store, { from: 'start', filter: { types: [] } });
      await never.stop();
      const waiting = new Follower(subject.store, { from: 'end', filter: { streamPrefixes: [stream] } });
      await waiting.untilCaughtUp();
      await waiting.stop();
      const controller = new AbortController();
      const seen: number[] = [];
      const filter = { streamPrefixes: [stream] };
      for await (const item of subject.store.subscribe({
        from: 'start',
        filter,
        batchSize: 5,
        signal: controller.signal,
      })) {
        if (item.kind === 'events') seen.push(item.events.length);
        if (item.kind === 'events') controller.abort();
      }
      expect(seen).toHaveLength(1);
      const aborted = subject.store.subscribe({ from: 'start', signal: AbortSignal.abort() })[Symbol.asyncIterator]();
      expect(await aborted.next()).toEqual({ done: true, value: undefined });
    });

    test('a consumer may simply leave', async () => {
      const stream = aStream();
      await subject.store.append(stream, someEvents(3), 'no-stream');
      const signal = new AbortController().signal;
      for await (const item of subject.store.subscribe({ from: 'start', filter: { streamPrefixes: [stream] }, signal }))
        if (item.kind === 'caught-up') break;
      expect(await subject.store.append(stream, [anEvent()], 2n)).toMatchObject({ revision: 3n });
    });
  });
}
