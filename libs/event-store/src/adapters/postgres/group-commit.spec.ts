import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { Transient } from '#libs/kernel/src/errors.js';

import { DEFAULT_LIMITS, GroupCommit, type GroupCommitLimits } from './group-commit.js';

interface Request {
  readonly stream: string;
  readonly bytes: number;
  readonly n: number;
}

/** A commit that is held until the test lets it go; answers each request with its number. */
class HeldCommit {
  readonly batches: Request[][] = [];
  private readonly pending: { resolve: () => void; reject: (error: unknown) => void }[] = [];
  private readonly arrivals: (() => void)[] = [];

  readonly commit = async (batch: readonly Request[]): Promise<number[]> => {
    this.batches.push([...batch]);
    for (const arrived of this.arrivals.splice(0)) arrived();
    await new Promise<void>((resolve, reject) => this.pending.push({ resolve, reject }));
    return batch.map(({ n }) => n);
  };

  async untilBatches(count: number): Promise<void> {
    while (this.batches.length < count) await new Promise<void>((resolve) => this.arrivals.push(resolve));
  }

  release(): void {
    this.pending.shift()!.resolve();
  }

  fail(error: unknown): void {
    this.pending.shift()!.reject(error);
  }
}

const request = (n: number, more: Partial<Request> = {}): Request => ({ stream: `s${n}`, bytes: 10, n, ...more });
const numbers = (batch: readonly Request[] | undefined): number[] => (batch ?? []).map(({ n }) => n);
const limited = (limits: Partial<GroupCommitLimits>): GroupCommitLimits => ({ ...DEFAULT_LIMITS, ...limits });

describe('group commit', () => {
  test('takes what arrives in one turn together, and what arrives in flight as the next batch', async () => {
    const held = new HeldCommit();
    const group = new GroupCommit(held.commit);
    const first = [1, 2, 3].map((n) => group.submit(request(n)));
    await held.untilBatches(1);
    const second = [4, 5].map((n) => group.submit(request(n)));
    held.release();
    expect(await Promise.all(first)).toEqual([1, 2, 3]);
    await held.untilBatches(2);
    held.release();
    expect(await Promise.all(second)).toEqual([4, 5]);
    expect(held.batches.map(numbers)).toEqual([
      [1, 2, 3],
      [4, 5],
    ]);
    await group.idle();
  });

  test('starts again after it has been idle', async () => {
    const group = new GroupCommit((batch: readonly Request[]) => Promise.resolve(batch.map(({ n }) => n)));
    expect(await group.submit(request(1))).toBe(1);
    await group.idle();
    expect(await group.submit(request(2))).toBe(2);
  });

  test('takes one request of a stream a batch, in the order in which they came', async () => {
    const batches: number[][] = [];
    const group = new GroupCommit((batch: readonly Request[]) => {
      batches.push(numbers(batch));
      return Promise.resolve(numbers(batch));
    });
    const streams = ['a', 'a', 'b', 'a', 'c', 'b'];
    await Promise.all(streams.map((stream, n) => group.submit(request(n, { stream }))));
    expect(batches).toEqual([[0, 2, 4], [1, 5], [3]]);
  });

  test('bounds a batch in requests and in bytes, and lets a single large one through', async () => {
    const batches: number[][] = [];
    const group = new GroupCommit(
      (batch: readonly Request[]) => {
        batches.push(numbers(batch));
        return Promise.resolve(numbers(batch));
      },
      limited({ requests: 3, bytes: 100 }),
    );
    const sizes = [40, 40, 40, 500, 10, 10, 10, 10];
    await Promise.all(sizes.map((bytes, n) => group.submit(request(n, { bytes }))));
    expect(batches).toEqual([[0, 1], [2], [3], [4, 5, 6], [7]]);
  });

  test.each([
    ['requests', limited({ waitingRequests: 2 }), 10],
    ['bytes', limited({ waitingBytes: 25 }), 10],
  ])(
    'refuses more than it may keep waiting, counted in %s, and takes more when there is room',
    async (_, limits, bytes) => {
      const held = new HeldCommit();
      const group = new GroupCommit(held.commit, limits);
      const accepted = [1, 2].map((n) => group.submit(request(n, { bytes })));
      const refused = group.submit(request(3, { bytes }));
      await expect(refused).rejects.toBeInstanceOf(Transient);
      await expect(refused).rejects.toMatchObject({ code: 'log.overloaded' });
      await held.untilBatches(1);
      const later = group.submit(request(4, { bytes }));
      held.release();
      expect(await Promise.all(accepted)).toEqual([1, 2]);
      await held.untilBatches(2);
      held.release();
      expect(await later).toBe(4);
    },
  );

  test('when the log does not answer, those that wait are told with those in flight', async () => {
    const held = new HeldCommit();
    const group = new GroupCommit(held.commit);
    const inFlight = group.submit(request(1));
    await held.untilBatches(1);
    const waiting = group.submit(request(2));
    const down = new Transient('log.unavailable', 'down');
    held.fail(down);
    await expect(inFlight).rejects.toBe(down);
    await expect(waiting).rejects.toBe(down);
    expect(held.batches).toHaveLength(1);
    await group.idle();
    const after = group.submit(request(3));
    await held.untilBatches(2);
    held.release();
    expect(await after).toBe(3);
  });

  test('a request that breaks the statement breaks its own only', async () => {
    const group = new GroupCommit((batch: readonly Request[]) =>
      batch.some(({ n }) => n === 2) ? Promise.reject(new Error('poison')) : Promise.resolve(numbers(batch)),
    );
    const outcomes = await Promise.allSettled([1, 2, 3].map((n) => group.submit(request(n))));
    expect(outcomes.map((outcome) => (outcome.status === 'fulfilled' ? outcome.value : 'failed'))).toEqual([
      1,
      'failed',
      3,
    ]);
  });

  test('answers every request once, whatever their streams and sizes', async () => {
    const streams = fc.constantFrom('a', 'b', 'c', 'd');
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ stream: streams, bytes: fc.integer({ min: 1, max: 200 }), turn: fc.boolean() }), {
          maxLength: 60,
        }),
        async (given) => {
          const committed: Request[] = [];
          const group = new GroupCommit(
            async (batch: readonly Request[]) => {
              expect(new Set(batch.map(({ stream }) => stream)).size).toBe(batch.length);
              await Promise.resolve();
              committed.push(...batch);
              return numbers(batch);
            },
            limited({ requests: 5, bytes: 300 }),
          );
          const answers: Promise<number>[] = [];
          for (const [n, { turn, ...rest }] of given.entries()) {
            answers.push(group.submit({ ...rest, n }));
            if (turn) await new Promise((resolve) => setImmediate(resolve));
          }
          expect(await Promise.all(answers)).toEqual(given.map((_, n) => n));
          await group.idle();
          for (const name of ['a', 'b', 'c', 'd']) {
            const order = numbers(committed.filter(({ stream }) => stream === name));
            expect(order).toEqual(order.toSorted((a, b) => a - b));
          }
        },
      ),
      { numRuns: 50 },
    );
  });
});
