import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { type AllPage, RecordedEvent } from '../../event-store.js';
import { Feed } from './feed.js';

const event = (position: bigint): RecordedEvent =>
  new RecordedEvent('s', position, position, '00000000-0000-7000-8000-000000000000', 'a', new Date(0), '{}', '{}');
const events = (from: bigint, to: bigint): RecordedEvent[] =>
  Array.from({ length: Number(to - from) + 1 }, (_, n) => event(from + BigInt(n)));
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const held = (feed: Feed, after: bigint): bigint[] | undefined =>
  feed.tail.after(after, 1_000, () => true)?.events.map(({ position }) => position);

/** A log without holes whose reads are counted, and may be held back. */
function source() {
  const reads: { after: bigint; upTo: bigint }[] = [];
  const gates: (() => void)[] = [];
  const state = { isHeld: false, fails: false };
  const read = async (after: bigint, upTo: bigint, limit: number): Promise<AllPage> => {
    reads.push({ after, upTo });
    if (state.isHeld) await new Promise<void>((resolve) => gates.push(resolve));
    if (state.fails) throw new Error('no answer');
    const last = after + BigInt(limit) < upTo ? after + BigInt(limit) : upTo;
    return { events: events(after + 1n, last), position: last, end: false };
  };
  return { read, reads, state, release: () => gates.splice(0).forEach((open) => open()) };
}

describe('the feed', () => {
  test('hands own batches on without reading them', async () => {
    const { read, reads } = source();
    const feed = new Feed(0n, 1_000_000, read);
    const watcher = feed.news.watch();
    const news = watcher.news(feed.news.version);
    feed.committed(events(1n, 3n));
    await news;
    feed.committed(events(4n, 4n));
    expect(held(feed, 0n)).toEqual([1n, 2n, 3n, 4n]);
    expect(reads).toEqual([]);
    expect(feed.head).toBe(4n);
  });

  test('fills a gap that others left by one read, and puts its own batch behind it', async () => {
    const { read, reads } = source();
    const feed = new Feed(0n, 1_000_000, read);
    feed.news.watch();
    feed.news.watch();
    feed.committed(events(4n, 5n));
    await turn();
    expect(reads).toEqual([{ after: 0n, upTo: 3n }]);
    expect(held(feed, 0n)).toEqual([1n, 2n, 3n, 4n, 5n]);
  });

  test('reads what it is told of', async () => {
    const { read, reads } = source();
    const feed = new Feed(10n, 1_000_000, read);
    feed.news.watch();
    feed.noticed(13n);
    feed.noticed(9n);
    await turn();
    expect(reads).toEqual([{ after: 10n, upTo: 13n }]);
    expect(held(feed, 10n)).toEqual([11n, 12n, 13n]);
    expect(feed.head).toBe(13n);
  });

  test('reads nothing while nobody watches, and covers own batches from there on', async () => {
    const { read, reads } = source();
    const feed = new Feed(0n, 1_000_000, read);
    feed.noticed(7n);
    feed.committed(events(10n, 11n));
    await turn();
    expect(reads).toEqual([]);
    expect(held(feed, 9n)).toEqual([10n, 11n]);
    expect(held(feed, 8n)).toBeUndefined();
  });

  test('joins own batches that come while a gap is being read, each event once', async () => {
    const log = source();
    const feed = new Feed(0n, 1_000_000, log.read);
    feed.news.watch();
    log.state.isHeld = true;
    feed.noticed(3n);
    await turn();
    feed.committed(events(1n, 3n));
    feed.committed(events(6n, 7n));
    feed.committed(events(8n, 8n));
    log.state.isHeld = false;
    log.release();
    await turn();
    await turn();
    expect(held(feed, 0n)).toEqual([1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n]);
  });

  test('starts anew at the head where the gap is too wide to fill', async () => {
    const { read, reads } = source();
    const feed = new Feed(0n, 1_000_000, read);
    feed.news.watch();
    feed.noticed(100_000n);
    await turn();
    expect(reads).toEqual([]);
    expect([feed.tail.base, feed.tail.end]).toEqual([100_000n, 100_000n]);
  });

  test('leaves it to the subscriptions to read when its own read fails', async () => {
    const log = source();
    const feed = new Feed(0n, 1_000_000, log.read);
    const watcher = feed.news.watch();
    log.state.fails = true;
    const { version } = feed.news;
    feed.noticed(2n);
    await watcher.news(version);
    expect(held(feed, 0n)).toBeUndefined();
    expect([feed.tail.base, feed.tail.end]).toEqual([2n, 2n]);
    log.state.fails = false;
    feed.noticed(4n);
    await turn();
    expect(held(feed, 2n)).toEqual([3n, 4n]);
  });

  test('does not ask for ever for what is said to be there but is not', async () => {
    let reads = 0;
    const feed = new Feed(5n, 1_000_000, (after) => {
      reads++;
      return Promise.resolve({ events: [], position: after, end: true });
    });
    feed.news.watch();
    feed.noticed(6n);
    await turn();
    expect(reads).toBe(1);
  });

  test('wakes a watcher once for each piece of news, also for what came before it waited', async () => {
    const feed = new Feed(0n, 1_000_000, source().read);
    const watcher = feed.news.watch();
    const seen = feed.news.version;
    feed.committed(events(1n, 1n));
    await watcher.news(seen);
    const waiting = watcher.news(feed.news.version).then(() => 'woken');
    expect(await Promise.race([waiting, turn().then(() => 'asleep')])).toBe('asleep');
    feed.close();
    expect(await waiting).toBe('woken');
  });

  test('an interrupted watcher wakes alone', async () => {
    const feed = new Feed(0n, 1_000_000, source().read);
    const [one, other] = [feed.news.watch(), feed.news.watch()];
    const woken: string[] = [];
    const first = one.news(feed.news.version).then(() => woken.push('one'));
    void other.news(feed.news.version).then(() => woken.push('other'));
    one.interrupt();
    await first;
    await turn();
    expect(woken).toEqual(['one']);
  });

  test('counts each loss of the connection once, until it is restored', () => {
    const feed = new Feed(0n, 1_000_000, source().read);
    feed.lost('cut');
    feed.lost('still cut');
    expect([feed.outages, feed.down]).toEqual([1, 'still cut']);
    feed.restored(0n);
    feed.lost('cut again');
    expect([feed.outages, feed.down]).toEqual([2, 'cut again']);
  });

  test('has every event once and in order, however own batches, news and reads interleave', async () => {
    const step = fc.record({
      own: fc.boolean(),
      size: fc.integer({ min: 1, max: 5 }),
      told: fc.boolean(),
      turns: fc.nat(2),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const log = source();
        const feed = new Feed(0n, 1_000_000, log.read);
        feed.news.watch();
        let head = 0n;
        for (const { own, size, told, turns } of steps) {
          log.state.isHeld = turns === 1;
          const from = head + 1n;
          head += BigInt(size);
          if (told) feed.noticed(head);
          if (own) feed.committed(events(from, head));
          for (let n = 0; n < turns; n++) await turn();
          if (turns === 2) log.release();
        }
        log.state.isHeld = false;
        feed.noticed(head);
        for (let n = 0; n < 2 * steps.length + 2; n++) {
          log.release();
          await turn();
          feed.noticed(head);
        }
        expect(held(feed, 0n)).toEqual(head === 0n ? [] : events(1n, head).map(({ position }) => position));
      }),
      { numRuns: 100 },
    );
  });
});
