import { expect, test } from '@jest/globals';

import { type AppendResult, WrongRevision } from '../event-store.js';
import { anEvent, aPrefix, aStream, idsOf, outcomeOf, readEverything, revisionsOf, someEvents } from './given.js';
import { group } from './group.js';
import type { Open } from './open-store.js';

/** Many writers at the same time, in one process. */
export function competing(open: Open): void {
  group('competing writers', open, (subject) => {
    test('of sixteen appends at one revision exactly one wins, and the others learn where the stream is', async () => {
      const stream = aStream();
      await subject.store.append(stream, [anEvent()], 'no-stream');
      const rivals = Array.from({ length: 16 }, () => someEvents(2));
      const outcomes = await Promise.all(rivals.map((events) => outcomeOf(subject.store.append(stream, events, 0n))));
      const won = outcomes.flatMap((outcome, n) => ('value' in outcome ? [n] : []));
      expect(won).toHaveLength(1);
      for (const outcome of outcomes)
        if ('error' in outcome) {
          expect(outcome.error).toBeInstanceOf(WrongRevision);
          expect(outcome.error).toMatchObject({ stream, expected: 0n, actual: 2n });
        }
      expect(idsOf(await subject.store.readStream(stream, { from: 1n }))).toEqual(idsOf(rivals[won[0]!]!));
    });

    test('sixteen writers that read, append and try again get all their events into one stream, each once', async () => {
      const stream = aStream();
      const appended: string[] = [];
      const write = async (): Promise<void> => {
        for (let n = 0; n < 4; n++) {
          const event = anEvent();
          for (;;) {
            const [last] = await subject.store.readStream(stream, { direction: 'backwards', limit: 1 });
            const outcome = await outcomeOf(subject.store.append(stream, [event], last?.revision ?? 'no-stream'));
            if ('value' in outcome) break;
            if (!(outcome.error instanceof WrongRevision)) throw outcome.error;
          }
          appended.push(event.id);
        }
      };
      await Promise.all(Array.from({ length: 16 }, write));
      const events = await subject.store.readStream(stream);
      expect(revisionsOf(events)).toEqual(Array.from({ length: 64 }, (_, n) => BigInt(n)));
      expect(idsOf(events).sort()).toEqual(appended.sort());
    });

    test('appends to many streams at once all succeed, and each answer names the place where its events are', async () => {
      const prefix = aPrefix();
      const sizes = Array.from({ length: 200 }, (_, n) => 1 + (n % 3));
      const results = await Promise.all(
        sizes.map((size, n) => subject.store.append(`${prefix}${n}`, someEvents(size), 'no-stream')),
      );
      const events = await readEverything(subject.store, { filter: { streamPrefixes: [prefix] } });
      expect(events).toHaveLength(sizes.reduce((sum, size) => sum + size, 0));
      expect(new Set(events.map(({ position }) => position)).size).toBe(events.length);
      for (const [n, result] of results.entries()) {
        const own = events.filter(({ stream }) => stream === `${prefix}${n}`);
        expect(revisionsOf(own)).toEqual(own.map((_, index) => BigInt(index)));
        expect(own.at(-1)).toMatchObject({ revision: result.revision, position: result.position });
      }
    });

    test('a refused append leaves those beside it alone', async () => {
      const prefix = aPrefix();
      const taken = `${prefix}taken`;
      const original = someEvents(1);
      await subject.store.append(taken, original, 'no-stream');
      const outcomes = await Promise.all(
        Array.from({ length: 60 }, (_, n) => {
          if (n % 3 === 0) return outcomeOf(subject.store.append(taken, [anEvent()], 'no-stream'));
          if (n % 3 === 1) return outcomeOf(subject.store.append(taken, original, 'no-stream'));
          return outcomeOf(subject.store.append(`${prefix}${n}`, someEvents(2), 'no-stream'));
        }),
      );
      for (const [n, outcome] of outcomes.entries()) {
        if (n % 3 === 0) expect(outcome).toMatchObject({ error: { actual: 0n } });
        if (n % 3 === 1) expect(outcome).toMatchObject({ value: { revision: 0n, repeated: true } });
        if (n % 3 === 2) expect(outcome).toMatchObject({ value: { revision: 1n, repeated: false } });
      }
      expect(await readEverything(subject.store, { filter: { streamPrefixes: [prefix] } })).toHaveLength(41);
    });

    test('one stream appended to in a chain keeps the order of its appends among other traffic', async () => {
      const stream = aStream();
      const noise = aPrefix();
      let others: Promise<AppendResult>[] = [];
      for (let n = 0; n < 30; n++) {
        others = others.concat(
          Array.from({ length: 4 }, (_, m) => subject.store.append(`${noise}${n}-${m}`, [anEvent()], 'no-stream')),
        );
        await subject.store.append(stream, [anEvent({ data: `{"n":${n}}` })], n === 0 ? 'no-stream' : BigInt(n - 1));
      }
      await Promise.all(others);
      const events = await subject.store.readStream(stream);
      expect(events.map(({ dataJson }) => dataJson)).toEqual(Array.from({ length: 30 }, (_, n) => `{"n":${n}}`));
      expect(events.map(({ position }) => position)).toEqual(
        events.map(({ position }) => position).toSorted((a, b) => (a < b ? -1 : 1)),
      );
    });
  });
}
