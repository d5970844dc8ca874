import { expect, test } from '@jest/globals';

import { Transient } from '#libs/kernel/src/errors.js';

import type { AppendResult } from '../event-store.js';
import { Follower } from './follower.js';
import { anEvent, aPrefix, aStream, idsOf, outcomeOf, readEverything, someEvents } from './given.js';
import { faultTest, gapsAreNamed, group } from './group.js';
import type { Gaps, Open } from './open-store.js';

/** More than any call takes on a busy machine, and far less than the network's own limits, which are minutes. */
const BOUND_SECONDS = 60;
const seconds = (start: number): number => (Date.now() - start) / 1000;

/** Tries once more as a caller does: the same ids, the same expectation. */
async function appendUntilAnswered(
  append: () => Promise<AppendResult>,
  forSeconds = BOUND_SECONDS,
): Promise<AppendResult> {
  const start = Date.now();
  for (;;) {
    const outcome = await outcomeOf(append());
    if ('value' in outcome) return outcome.value;
    if (!(outcome.error instanceof Transient) || seconds(start) > forSeconds) throw outcome.error;
  }
}

/** Connections that break and servers that do not answer. */
export function enduring(open: Open, gaps: Gaps): void {
  group('enduring faults', open, (subject) => {
    const given = { gaps, subject };
    gapsAreNamed(['dropConnections', 'loseNextAnswer', 'outage', 'freeze'], given);

    faultTest(
      'dropConnections',
      given,
      'a live subscription whose connection is cut misses nothing and sees nothing twice',
      async (drop) => {
        const prefix = aPrefix();
        const filter = { streamPrefixes: [prefix] };
        const followers = [
          new Follower(subject.store, { from: 'start', filter }),
          new Follower(subject.store, { from: 'end', filter: { types: ['thing.happened'], ...filter }, batchSize: 3 }),
        ];
        await Promise.all(followers.map((follower) => follower.untilCaughtUp()));
        for (let n = 0; n < 60; n++) {
          if (n % 20 === 10) await drop();
          const events = someEvents(2);
          await appendUntilAnswered(() => subject.store.append(`${prefix}${n}`, events, 'no-stream'));
        }
        await Promise.all(followers.map((follower) => follower.untilEvents(120)));
        await Promise.all(followers.map((follower) => follower.stop()));
        const all = idsOf(await readEverything(subject.store, { filter }));
        for (const follower of followers) expect(idsOf(follower.events)).toEqual(all);
      },
    );

    faultTest(
      'dropConnections',
      given,
      'a subscription says that it was cut off, and that it has caught up again',
      async (drop) => {
        const stream = aStream();
        const follower = new Follower(subject.store, { from: 'end', filter: { streamPrefixes: [stream] } });
        await follower.untilCaughtUp();
        await drop();
        await follower.until('disconnected', () => follower.count('disconnected') > 0);
        await follower.untilCaughtUp(2);
        await appendUntilAnswered(() => subject.store.append(stream, someEvents(1), 'any'));
        await follower.until('the event', () => follower.events.length > 0);
        await follower.stop();
        const kinds = follower.items.map(({ kind }) => kind);
        expect(kinds.indexOf('disconnected')).toBeLessThan(kinds.lastIndexOf('caught-up'));
      },
    );

    faultTest(
      'dropConnections',
      given,
      'appends whose connections are cut are stored once if answered, and at most once if not',
      async (drop) => {
        const prefix = aPrefix();
        const ids: string[] = [];
        const answered: string[] = [];
        let dropping = true;
        const cut = (async () => {
          for (let n = 0; n < 6; n++) await drop();
          dropping = false;
        })();
        const write = async (writer: number): Promise<void> => {
          for (let n = 0; n < 20 || dropping; n++) {
            const events = someEvents(2);
            ids.push(...idsOf(events));
            const outcome = await outcomeOf(subject.store.append(`${prefix}${writer}-${n}`, events, 'no-stream'));
            if ('value' in outcome) answered.push(...idsOf(events));
            else expect(outcome.error).toBeInstanceOf(Transient);
          }
        };
        await Promise.all([cut, ...Array.from({ length: 16 }, (_, writer) => write(writer))]);
        const stored = idsOf(await readEverything(subject.store, { filter: { streamPrefixes: [prefix] } }));
        expect(new Set(stored).size).toBe(stored.length);
        expect(stored).toEqual(expect.arrayContaining(answered));
        expect(new Set(ids)).toEqual(new Set([...ids, ...stored]));
      },
    );

    faultTest(
      'loseNextAnswer',
      given,
      'an append whose answer is lost is answered with its place, and stored once',
      async (lose) => {
        const stream = aStream();
        await subject.store.append(stream, someEvents(1), 'no-stream');
        const events = someEvents(3);
        await lose();
        const result = await appendUntilAnswered(() => subject.store.append(stream, events, 0n));
        expect(result).toMatchObject({ revision: 3n });
        const stored = await subject.store.readStream(stream, { from: 1n });
        expect(idsOf(stored)).toEqual(idsOf(events));
        expect(stored.at(-1)!.position).toBe(result.position);
      },
    );

    faultTest(
      'outage',
      given,
      'while the server cannot be reached calls fail soon, and all is well by itself when it is back',
      async (outage) => {
        const stream = aStream();
        const follower = new Follower(subject.store, { from: 'end', filter: { streamPrefixes: [stream] } });
        await follower.untilCaughtUp();
        await subject.store.append(stream, [anEvent()], 'no-stream');
        await follower.untilEvents(1);
        const { end } = await outage();
        const events = someEvents(2);
        const start = Date.now();
        const refused = await Promise.all([
          outcomeOf(subject.store.append(stream, events, 0n)),
          outcomeOf(subject.store.ping()),
          outcomeOf(subject.store.readStream(stream)),
          outcomeOf(subject.store.head()),
        ]);
        expect(seconds(start)).toBeLessThan(BOUND_SECONDS);
        for (const outcome of refused) {
          expect(outcome).toMatchObject({ error: { code: 'log.unavailable' } });
          expect('error' in outcome && outcome.error).toBeInstanceOf(Transient);
        }
        await follower.until('disconnected', () => follower.count('disconnected') > 0);
        await end();
        const result = await appendUntilAnswered(() => subject.store.append(stream, events, 0n));
        expect(result).toMatchObject({ revision: 2n });
        await follower.untilEvents(3);
        await follower.stop();
        await subject.store.ping();
        expect(idsOf(follower.events)).toEqual(idsOf(await subject.store.readStream(stream)));
      },
    );

    faultTest(
      'outage',
      given,
      'an append made just as the server goes away is answered when it is back at once',
      async (outage) => {
        const stream = aStream();
        const { end } = await outage();
        const events = someEvents(1);
        const append = appendUntilAnswered(() => subject.store.append(stream, events, 'no-stream'));
        await end();
        expect(await append).toMatchObject({ revision: 0n });
        expect(idsOf(await subject.store.readStream(stream))).toEqual(idsOf(events));
      },
    );

    faultTest(
      'freeze',
      given,
      'a server that goes silent makes calls fail in bounded time, and is used again when it speaks',
      async (freeze) => {
        const stream = aStream();
        await subject.store.append(stream, [anEvent()], 'no-stream');
        const { end } = await freeze();
        const events = someEvents(2);
        const start = Date.now();
        const outcomes = await Promise.all([
          outcomeOf(subject.store.append(stream, events, 0n)),
          outcomeOf(subject.store.append(aStream(), someEvents(1), 'no-stream')),
          outcomeOf(subject.store.ping()),
        ]);
        expect(seconds(start)).toBeLessThan(BOUND_SECONDS);
        for (const outcome of outcomes) expect(outcome).toMatchObject({ error: { code: 'log.unavailable' } });
        await end();
        expect(await appendUntilAnswered(() => subject.store.append(stream, events, 0n))).toMatchObject({
          revision: 2n,
        });
        expect(await subject.store.readStream(stream)).toHaveLength(3);
      },
    );

    faultTest('outage', given, 'closing while the server cannot be reached ends in bounded time', async () => {
      const other = await open();
      const follower = new Follower(other.store, { from: 'start', filter: { types: ['never.happened'] } });
      await follower.untilCaughtUp();
      const { end } = await other.faults!.outage!();
      const start = Date.now();
      const append = outcomeOf(other.store.append(aStream(), [anEvent()], 'no-stream'));
      await other.store.close();
      expect(await append).toMatchObject({ error: expect.any(Transient) });
      await follower.ended;
      expect(seconds(start)).toBeLessThan(BOUND_SECONDS);
      await end();
      await other.close();
    });
  });

  group('the pieces of a fault test', open, (subject) => {
    test('a follower fails, rather than waits for ever, when what it waits for does not come', async () => {
      const follower = new Follower(subject.store, { from: 'end', filter: { types: [] } });
      await expect(follower.untilEvents(1, 50)).rejects.toThrow('not seen in 50 ms: 1 events');
      await follower.stop();
    });
  });
}
