import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { consistencyProof, hashLeaf, inclusionProof, rootOf, verifyConsistency, verifyInclusion } from './merkle.js';
import { RightEdge, subtreesIn, type Tile } from './tiles.js';

const leaves = Array.from({ length: 70_000 }, (_, index) => hashLeaf(Buffer.from(String(index))));

/** A table of tiles, and the edge that writes it in batches; with `again`, read from the table before each. */
function grow(size: number, batch: number, again: boolean) {
  const table = new Map<string, Tile>();
  let edge = new RightEdge();
  for (let from = 0; from < size; from += batch) {
    if (again) edge = new RightEdge(from, partialTiles(table, from));
    for (let index = from; index < Math.min(size, from + batch); index++)
      edge.append(leaves[index]!, BigInt(index * 3));
    for (const tile of edge.takeChanges()) table.set(`${tile.level}/${tile.tile}`, tile);
  }
  const subtree = subtreesIn((level, tile) => table.get(`${level}/${tile}`)!.hashes);
  return { table, edge, subtree };
}

const partialTiles = (table: ReadonlyMap<string, Tile>, size: number): Tile[] =>
  [0, 1, 2].flatMap((level) => table.get(`${level}/${Math.floor(size / 256 ** (level + 1))}`) ?? []);

describe('the tiles of a tree', () => {
  it('give its root, whatever the batches in which it grows, and from a new start', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 2_000 }),
        fc.integer({ min: 1, max: 700 }),
        fc.boolean(),
        (size, batch, again) => {
          const { edge } = grow(size, batch, again);
          expect(edge.size).toBe(size);
          expect(edge.root).toEqual(rootOf(leaves.slice(0, size)));
        },
      ),
      { numRuns: 30 },
    );
  });

  it('hold each leaf and where its event is', () => {
    const { table } = grow(600, 100, true);
    const tile = table.get('0/2')!;
    expect(tile.hashes).toEqual(Buffer.concat(leaves.slice(512, 600)));
    expect(tile.positions.readBigInt64BE(8)).toBe(513n * 3n);
    expect(table.get('1/0')!.hashes.subarray(32)).toEqual(rootOf(leaves.slice(256, 512)));
  });

  it('give every proof of a tree with three levels', async () => {
    const size = leaves.length;
    const { edge, subtree } = grow(size, 2_000, false);
    const { root } = edge;
    expect(root).toEqual(rootOf(leaves));
    await fc.assert(
      fc.asyncProperty(fc.nat(size - 1), async (index) => {
        const proof = await inclusionProof(index, size, subtree);
        expect(verifyInclusion({ index, size, root }, leaves[index]!, proof)).toBe(true);
        const first = { size: index + 1, root: rootOf(leaves.slice(0, index + 1)) };
        expect(verifyConsistency(first, { size, root }, await consistencyProof(index + 1, size, subtree))).toBe(true);
      }),
      { numRuns: 5, examples: [[65_535], [65_536], [0]] },
    );
  });
});
