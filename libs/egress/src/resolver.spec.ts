import { describe, expect, it } from '@jest/globals';

import { systemResolver } from './resolver.adapter.js';

/** A resolver whose answers are given by hand. */
function asked() {
  const questions: { host: string; answer: (addresses: string[]) => void; fail: (error: Error) => void }[] = [];
  let now = 0;
  const resolve = systemResolver(
    (host) => new Promise((answer, fail) => questions.push({ host, answer, fail })),
    () => now,
  );
  return { questions, resolve, wait: (milliseconds: number) => (now += milliseconds) };
}

describe('looking up a name', () => {
  it('asks once for all who wait for it', async () => {
    const { questions, resolve } = asked();
    const waiting = [resolve('a.test'), resolve('a.test'), resolve('b.test')];
    expect(questions.map(({ host }) => host)).toEqual(['a.test', 'b.test']);
    questions.forEach(({ host, answer }) => answer([host]));
    expect(await Promise.all(waiting)).toEqual([['a.test'], ['a.test'], ['b.test']]);
  });

  it('keeps an answer for a few seconds', async () => {
    const { questions, resolve, wait } = asked();
    const first = resolve('a.test');
    questions[0]!.answer(['192.0.2.1']);
    await first;
    wait(4_999);
    expect(await resolve('a.test')).toEqual(['192.0.2.1']);
    wait(1);
    const second = resolve('a.test');
    expect(questions).toHaveLength(2);
    questions[1]!.answer(['192.0.2.2']);
    expect(await second).toEqual(['192.0.2.2']);
  });

  it('does not keep a failure', async () => {
    const { questions, resolve } = asked();
    const first = resolve('a.test');
    questions[0]!.fail(new Error('not now'));
    await expect(first).rejects.toThrow('not now');
    const second = resolve('a.test');
    questions[1]!.answer(['192.0.2.1']);
    expect(await second).toEqual(['192.0.2.1']);
  });

  it('keeps a bounded number of names, the newest', async () => {
    const { questions, resolve } = asked();
    for (let i = 0; i <= 1_000; i++) {
      const answer = resolve(`${i}.test`);
      questions.at(-1)!.answer([]);
      await answer;
    }
    await resolve('1000.test');
    expect(questions).toHaveLength(1_001);
    void resolve('0.test');
    expect(questions).toHaveLength(1_002);
  });
});
