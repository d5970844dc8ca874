import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { compareLeaves, type Difference, explain, type KeptLeaf, type LogLeaf } from './compare-leaves.js';
import { hashLeaf } from './tree/merkle.js';

const leafOf = (name: string) => hashLeaf(Buffer.from(name));
const idOf = (n: number) => `01932f1d-6a3c-7c1e-8f00-${String(n).padStart(12, '0')}`;

async function* inBatches<T>(all: readonly T[], size: number): AsyncGenerator<readonly T[]> {
  for (let n = 0; n < all.length; n += size) yield await Promise.resolve(all.slice(n, n + size));
}

const event = (n: number) => ({ id: idOf(n), type: 't', stream: `s-${n}`, revision: 0n });
const keptOf = (count: number): KeptLeaf[] =>
  Array.from({ length: count }, (_, n) => ({ index: n, position: BigInt(n + 1), leaf: leafOf(`event ${n}`) }));
const logOf = (kept: readonly KeptLeaf[]): LogLeaf[] =>
  kept.map(({ index, position, leaf }) => ({ position, leaf, event: event(index) }));

/** As the verification has it. */
async function differencesOf(kept: readonly KeptLeaf[], log: readonly LogLeaf[], batch = 7) {
  const missing: KeptLeaf[] = [];
  const surplus: (LogLeaf & { before: number })[] = [];
  let [at, same, matchedUpTo] = [0, 0, 0];
  for await (const step of compareLeaves(inBatches(kept, batch), inBatches(log, batch + 1))) {
    if (step.kind === 'same') same += step.leaves.length;
    else {
      missing.push(...step.missing);
      surplus.push(...step.surplus.map((one) => ({ ...one, before: at })));
    }
    at += step.kind === 'same' ? step.leaves.length : step.missing.length;
    if (step.kind === 'same') matchedUpTo = at;
  }
  const nameAt = (position: bigint) => event(Number(position) - 1);
  return { same, differences: explain({ missing, surplus, size: kept.length, matchedUpTo, nameAt }) };
}
const kindsOf = (differences: readonly Difference[]) => differences.map(({ kind, index }) => [kind, index]);

const kept = keptOf(50);
const log = logOf(kept);
const changed = (n: number): LogLeaf => ({ ...log[n]!, leaf: leafOf('something else') });
const extra: LogLeaf = { position: 1_000n, leaf: leafOf('extra'), event: event(999) };

describe('a log that is held against its tree', () => {
  it('has no difference while it is as it was, whatever the batches', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(300), fc.integer({ min: 1, max: 40 }), async (count, batch) => {
        const all = keptOf(count);
        expect(await differencesOf(all, logOf(all), batch)).toEqual({ same: count, differences: [] });
      }),
      { numRuns: 30 },
    );
  });

  it.each<[string, readonly LogLeaf[], readonly (readonly [string, number])[]]>([
    ['an event that was changed', log.with(20, changed(20)), [['changed', 20]]],
    ['the first one', log.with(0, changed(0)), [['changed', 0]]],
    ['the last one', log.with(49, changed(49)), [['changed', 49]]],
    ['one that was removed', log.toSpliced(20, 1), [['missing', 20]]],
    [
      'several that were removed',
      log.toSpliced(20, 3),
      [
        ['missing', 20],
        ['missing', 21],
        ['missing', 22],
      ],
    ],
    ['one that was added', log.toSpliced(20, 0, extra), [['surplus', 20]]],
    ['two neighbours that were swapped', log.with(20, log[21]!).with(21, log[20]!), [['reordered', 20]]],
    [
      'two that were swapped',
      log.with(5, log[40]!).with(40, log[5]!),
      [
        ['reordered', 5],
        ['reordered', 40],
      ],
    ],
    ['a tail that was cut', log.slice(0, 30), [['cut', 30]]],
    ['everything that was cut', [], [['cut', 0]]],
    [
      'one removed, and a tail cut',
      log.toSpliced(20, 1).slice(0, 40),
      [
        ['missing', 20],
        ['cut', 41],
      ],
    ],
    [
      'a change, a removal and an addition',
      log.with(5, changed(5)).toSpliced(40, 0, extra).toSpliced(20, 1),
      [
        ['changed', 5],
        ['missing', 20],
        ['surplus', 40],
      ],
    ],
  ])('names %s', async (_, now, expected) => {
    expect(kindsOf((await differencesOf(kept, now)).differences)).toEqual(expected);
  });

  it('names an event that was removed where those behind it were renumbered', async () => {
    const renumbered = log.toSpliced(20, 1).map((one, n) => ({ ...one, position: BigInt(n + 1) }));
    const [first, ...more] = (await differencesOf(kept, renumbered)).differences;
    expect(more).toEqual([]);
    expect(first).toMatchObject({ kind: 'missing', index: 20, stream: 's-20' });
  });

  it('says where a moved event is now, and how many a cut took', async () => {
    const [swapped] = (await differencesOf(kept, log.with(5, log[40]!).with(40, log[5]!))).differences;
    expect(swapped!.detail).toContain('it is at position');
    const [cut] = (await differencesOf(kept, log.slice(0, 30))).differences;
    expect(cut).toMatchObject({ kind: 'cut', count: 20, position: '31', eventId: expect.stringMatching(/^evt_/) });
  });

  it('goes on behind a gap that is larger than its window', async () => {
    const many = keptOf(5_000);
    const { same, differences } = await differencesOf(many, logOf(many).toSpliced(100, 2_500), 400);
    expect(same).toBe(2_500);
    expect(differences[0]).toMatchObject({ kind: 'missing', index: 100 });
  });

  it('finds any single change, and names no event that is as it was', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 80 }),
        fc.nat(),
        fc.constantFrom('change', 'remove', 'add'),
        async (count, where, what) => {
          const all = keptOf(count);
          const at = where % count;
          const now = logOf(all);
          if (what === 'change') now[at] = { ...now[at]!, leaf: leafOf('other') };
          else if (what === 'remove') now.splice(at, 1);
          else now.splice(at, 0, extra);
          const { differences } = await differencesOf(all, now);
          expect(differences).toHaveLength(1);
          expect(differences[0]!.index).toBe(at);
        },
      ),
    );
  });
});
