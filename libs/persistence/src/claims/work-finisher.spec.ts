import { beforeEach, expect, test } from '@jest/globals';

import { Transient } from '#libs/kernel/src/errors.js';
import { silentLog } from '#libs/kernel/src/log.js';
import { until } from '#libs/kernel/testing/wait-for.js';

import type { Done } from './work-claims.adapter.js';
import { Finisher } from './work-finisher.js';

type Report = { readonly left: ReadonlySet<string>; readonly due: number };

let reports: string[][];
let answer: (done: readonly Done[]) => Report | Promise<Report>;
let finisher: Finisher;

beforeEach(() => {
  reports = [];
  answer = () => ({ left: new Set(), due: Infinity });
  const finish = async (_: string, done: readonly Done[]): Promise<Report> => {
    reports.push(done.map(({ key }) => key));
    return answer(done);
  };
  finisher = new Finisher('queue', { finish }, silentLog, 1);
});

const finish = (key: string, isLost = (): boolean => false): Promise<number> =>
  finisher.finish({ key, claim: '1', position: 1n }, isLost);

test('what finishes while a report is under way goes into one next report', async () => {
  let release: (() => void) | undefined;
  answer = () =>
    new Promise((done) => {
      release = () => done({ left: new Set(), due: Infinity });
    });
  const first = finish('a');
  await until(() => reports.length === 1);
  answer = () => ({ left: new Set(), due: 5 });
  const others = [finish('b'), finish('c')];
  release!();
  await first;
  expect(await Promise.all(others)).toEqual([5, 5]);
  expect(reports).toEqual([['a'], ['b', 'c']]);
});

test('a row that somebody else has locked is reported again', async () => {
  answer = () => ({ left: new Set(reports.length === 1 ? ['b'] : []), due: Infinity });
  await Promise.all([finish('a'), finish('b')]);
  expect(reports).toEqual([['a', 'b'], ['b']]);
});

test('a database that is away delays a report and loses none', async () => {
  answer = () => {
    if (reports.length < 3) throw new Transient('database.unavailable', 'away');
    return { left: new Set(), due: Infinity };
  };
  await finish('a');
  expect(reports).toEqual([['a'], ['a'], ['a']]);
});

test('a row whose claim was lost is not reported', async () => {
  expect(await finish('a', () => true)).toBe(Infinity);
  expect(reports).toEqual([]);
});

test('a row that the projection of its outcome has moved meanwhile is not reported', async () => {
  const [moved, other] = [finish('a'), finish('b')];
  finisher.forget(['a']);
  expect(await moved).toBe(Infinity);
  await other;
  expect(reports).toEqual([['b']]);
});

test('a process that stops reports at once', async () => {
  finisher = new Finisher('queue', { finish: async () => ({ left: new Set<string>(), due: 7 }) }, silentLog, 3_600_000);
  const reported = finish('a');
  finisher.hurry();
  expect(await reported).toBe(7);
});
