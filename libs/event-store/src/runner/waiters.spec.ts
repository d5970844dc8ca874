import { expect, test } from '@jest/globals';
import fc from 'fast-check';

import { Waiters } from './waiters.js';

test('whoever waits for a place that is reached goes on, in whatever order places are asked for and reached', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.bigInt(0n, 50n), { maxLength: 30 }),
      fc.array(fc.bigInt(0n, 50n), { minLength: 1, maxLength: 30 }),
      async (wanted, reached) => {
        const waiters = new Waiters('x');
        const done: bigint[] = [];
        const all = wanted.map((position) => waiters.until(position, 60_000).then(() => done.push(position)));
        for (const position of reached) waiters.reach(position);
        const furthest = reached.reduce((a, b) => (a > b ? a : b));
        const there = wanted.filter((position) => position <= furthest);
        await Promise.all(all.filter((_, index) => wanted[index]! <= furthest));
        expect(done.length).toBe(there.length);
        expect(waiters.position).toBe(furthest);
        waiters.reach(51n);
        await Promise.all(all);
      },
    ),
  );
});

test('whoever waits too long is told which position was not reached, and is forgotten', async () => {
  const waiters = new Waiters('rules.view');
  await expect(waiters.until(7n, 5)).rejects.toMatchObject({
    code: 'subscriber.behind',
    message: expect.stringContaining('rules.view has not reached position 7 within 5 ms'),
  });
  waiters.reach(7n);
  await waiters.until(7n, 5);
});
