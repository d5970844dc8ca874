import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import {
  consistencyProof,
  EMPTY_ROOT,
  GrowingRoot,
  type Hash,
  hashLeaf,
  hashNode,
  inclusionProof,
  rangeRoot,
  rootOf,
  type SubtreeHash,
  verifyConsistency,
  verifyInclusion,
} from './merkle.js';

const hex = (text: string): Buffer => Buffer.from(text, 'hex');

/** The reference leaves and roots of the Certificate Transparency project, for trees of 1 to 8 leaves. */
const LEAVES = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'].map(
  (text) => hashLeaf(hex(text)),
);
const ROOTS = [
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
].map(hex);

/** Of the leaves themselves, by the definition. */
const subtreesOf =
  (leaves: readonly Hash[]): SubtreeHash =>
  (level, index) =>
    byDefinition(leaves.slice(index * 2 ** level, (index + 1) * 2 ** level));

/** The recursive definition of RFC 6962. */
function byDefinition(leaves: readonly Hash[]): Hash {
  if (leaves.length === 0) return EMPTY_ROOT;
  if (leaves.length === 1) return leaves[0]!;
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  return hashNode(byDefinition(leaves.slice(0, split)), byDefinition(leaves.slice(split)));
}

const leavesOf = (size: number): readonly Hash[] =>
  Array.from({ length: size }, (_, index) => hashLeaf(Buffer.from(String(index))));

function flipped(hash: Hash, bit: number): Hash {
  const changed = Buffer.from(hash);
  changed[bit >> 3]! ^= 1 << (bit & 7);
  return changed;
}

describe('the reference trees of Certificate Transparency', () => {
  it('have the published roots', async () => {
    expect(EMPTY_ROOT.toString('hex')).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
    for (const [index, root] of ROOTS.entries()) {
      const leaves = LEAVES.slice(0, index + 1);
      expect(rootOf(leaves)).toEqual(root);
      expect(await rangeRoot(0, index + 1, subtreesOf(leaves))).toEqual(root);
    }
  });

  it.each([
    [0, 1, []],
    [
      0,
      8,
      [
        '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
        '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
        '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
      ],
    ],
    [
      5,
      8,
      [
        'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
        'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
        'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
      ],
    ],
    [2, 3, ['fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125']],
    [
      1,
      5,
      [
        '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
        '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
        'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
      ],
    ],
  ])('have the published inclusion proof of leaf %i in %i', async (index, size, published) => {
    const proof = await inclusionProof(index, size, subtreesOf(LEAVES.slice(0, size)));
    expect(proof.map((hash) => hash.toString('hex'))).toEqual(published);
    expect(verifyInclusion({ index, size, root: ROOTS[size - 1]! }, LEAVES[index]!, proof)).toBe(true);
  });

  it.each([
    [1, 1, []],
    [
      1,
      8,
      [
        '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
        '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
        '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
      ],
    ],
    [
      6,
      8,
      [
        '0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a',
        'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
        'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
      ],
    ],
    [
      2,
      5,
      [
        '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
        'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
      ],
    ],
  ])('have the published consistency proof of %i and %i', async (first, size, published) => {
    const proof = await consistencyProof(first, size, subtreesOf(LEAVES.slice(0, size)));
    expect(proof.map((hash) => hash.toString('hex'))).toEqual(published);
    const [one, two] = [first, size].map((of) => ({ size: of, root: ROOTS[of - 1]! }));
    expect(verifyConsistency(one!, two!, proof)).toBe(true);
  });
});

/** A size, and a number below it. */
const sizes = fc.integer({ min: 1, max: 300 }).chain((size) => fc.tuple(fc.constant(size), fc.nat(size - 1)));

describe('a tree of any size', () => {
  it('has the root of the definition, however it grows', () => {
    const growing = new GrowingRoot();
    expect(growing.root).toEqual(EMPTY_ROOT);
    const leaves = leavesOf(130);
    for (const [index, leaf] of leaves.entries()) {
      growing.add(leaf);
      expect(growing.root).toEqual(byDefinition(leaves.slice(0, index + 1)));
    }
  });

  it('proves each of its leaves, and nothing with a bit changed', async () => {
    await fc.assert(
      fc.asyncProperty(sizes, fc.nat(), fc.nat(255), async ([size, index], which, bit) => {
        const leaves = leavesOf(size);
        const proof = await inclusionProof(index, size, subtreesOf(leaves));
        const head = { index, size, root: rootOf(leaves) };
        expect(verifyInclusion(head, leaves[index]!, proof)).toBe(true);
        expect(verifyInclusion(head, flipped(leaves[index]!, bit), proof)).toBe(false);
        expect(verifyInclusion({ ...head, root: flipped(head.root, bit) }, leaves[index]!, proof)).toBe(false);
        expect(verifyInclusion({ ...head, index: (index + 1) % (size + 1) }, leaves[index]!, proof)).toBe(false);
        expect(verifyInclusion(head, leaves[index]!, [...proof, leaves[0]!])).toBe(false);
        if (proof.length === 0) return;
        const at = which % proof.length;
        const changed = proof.map((hash, n) => (n === at ? flipped(hash, bit) : hash));
        expect(verifyInclusion(head, leaves[index]!, changed)).toBe(false);
        expect(verifyInclusion(head, leaves[index]!, proof.slice(1))).toBe(false);
      }),
    );
  });

  it('proves that it begins with each smaller one, and nothing with a bit changed', async () => {
    await fc.assert(
      fc.asyncProperty(sizes, fc.nat(), fc.nat(255), async ([size, below], which, bit) => {
        const leaves = leavesOf(size);
        const first = { size: below + 1, root: rootOf(leaves.slice(0, below + 1)) };
        const second = { size, root: rootOf(leaves) };
        const proof = await consistencyProof(first.size, size, subtreesOf(leaves));
        expect(verifyConsistency(first, second, proof)).toBe(true);
        expect(verifyConsistency({ ...first, root: flipped(first.root, bit) }, second, proof)).toBe(false);
        expect(verifyConsistency(first, { ...second, root: flipped(second.root, bit) }, proof)).toBe(false);
        expect(verifyConsistency(first, second, [...proof, leaves[0]!])).toBe(false);
        if (proof.length === 0) return;
        const at = which % proof.length;
        const changed = proof.map((hash, n) => (n === at ? flipped(hash, bit) : hash));
        expect(verifyConsistency(first, second, changed)).toBe(false);
      }),
    );
  });

  it('begins with the empty tree, without a proof', async () => {
    expect(await consistencyProof(0, 8, subtreesOf(LEAVES))).toEqual([]);
    expect(verifyConsistency({ size: 0, root: EMPTY_ROOT }, { size: 8, root: ROOTS[7]! }, [])).toBe(true);
    expect(verifyConsistency({ size: 0, root: ROOTS[0]! }, { size: 8, root: ROOTS[7]! }, [])).toBe(false);
    expect(verifyConsistency({ size: 8, root: ROOTS[7]! }, { size: 7, root: ROOTS[6]! }, [])).toBe(false);
  });

  it('has no proof of a leaf or tree that it does not have', async () => {
    await expect(inclusionProof(8, 8, subtreesOf(LEAVES))).rejects.toThrow('has no leaf 8');
    await expect(consistencyProof(9, 8, subtreesOf(LEAVES))).rejects.toThrow('does not begin with 9');
  });
});
