import { describe, expect, it } from '@jest/globals';

import { inParallel } from './in-parallel.js';

/** Work that ends when it is told to. */
function controlled() {
  const started: number[] = [];
  const ends = new Map<number, { done: () => void; fail: (error: Error) => void }>();
  const work = (item: number) =>
    new Promise<void>((resolve, reject) => {
      started.push(item);
      ends.set(item, { done: resolve, fail: reject });
    });
  return {
    started,
    work,
    end: (item: number) => ends.get(item)!.done(),
    fail: (item: number) => ends.get(item)!.fail(new Error(`failed ${item}`)),
  };
}
const settled = () => new Promise((resolve) => setImmediate(resolve));

describe('work in parallel', () => {
  it('is begun in order, never more than so much at a time, until all is done', async () => {
    const { started, work, end } = controlled();
    const all = inParallel([1, 2, 3, 4], 2, work);
    expect(started).toEqual([1, 2]);
    end(2);
    await settled();
    expect(started).toEqual([1, 2, 3]);
    end(1);
    end(3);
    await settled();
    expect(started).toEqual([1, 2, 3, 4]);
    end(4);
    await expect(all).resolves.toBeUndefined();
  });

  it('that fails begins nothing more, and fails when what was under way has ended', async () => {
    const { started, work, end, fail } = controlled();
    let over = false;
    const all = inParallel([1, 2, 3], 2, work).finally(() => (over = true));
    const refused = expect(all).rejects.toThrow('failed 1');
    fail(1);
    await settled();
    expect({ started, over }).toEqual({ started: [1, 2], over: false });
    end(2);
    await refused;
    expect(started).toEqual([1, 2]);
  });

  it('is nothing where there are no items', async () => {
    await expect(inParallel([], 5, () => Promise.reject(new Error('never')))).resolves.toBeUndefined();
  });
});
