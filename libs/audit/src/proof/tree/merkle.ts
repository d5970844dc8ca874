import { hash } from 'node:crypto';

/**
 * The Merkle tree of RFC 6962, section 2.1, over SHA-256. A tree of `size` leaves has one root; an inclusion proof shows that
 * a leaf is in it, a consistency proof that a larger tree begins with it. Sizes and indexes are whole numbers below 2^53.
 */

/** 32 bytes. */
export type Hash = Buffer;
export const HASH_BYTES = 32;

/** The hash of the perfect subtree over the leaves `[index * 2^level, (index + 1) * 2^level)`. */
export type SubtreeHash = (level: number, index: number) => Hash | Promise<Hash>;

const sha256 = (bytes: Uint8Array): Hash => hash('sha256', bytes, 'buffer');

export const EMPTY_ROOT: Hash = sha256(new Uint8Array());

const node = Buffer.alloc(1 + 2 * HASH_BYTES, 1);

/** The hash of a node from those of its children. */
export function hashNode(left: Uint8Array, right: Uint8Array): Hash {
  node.set(left, 1);
  node.set(right, 1 + HASH_BYTES);
  return sha256(node);
}

/** @param prefixed a zero byte, then the content of the leaf. */
export const hashPrefixedLeaf = (prefixed: Uint8Array): Hash => sha256(prefixed);

export const hashLeaf = (content: Uint8Array): Hash => hashPrefixedLeaf(Buffer.concat([Buffer.alloc(1), content]));

/** The root of a tree that grows leaf by leaf. Keeps one hash for each bit of its size. */
export class GrowingRoot {
  size = 0;
  private readonly subtrees: Hash[] = [];

  add(leaf: Hash): void {
    let merged = leaf;
    for (let rest = this.size; rest % 2 === 1; rest = (rest - 1) / 2) merged = hashNode(this.subtrees.pop()!, merged);
    this.subtrees.push(merged);
    this.size += 1;
  }

  /** Of the perfect subtrees that the leaves fall into, the largest first. */
  get perfectSubtrees(): readonly Hash[] {
    return this.subtrees;
  }

  get root(): Hash {
    return joined(this.subtrees);
  }
}

/** The root over perfect subtrees that become smaller and smaller. */
export const joined = (subtrees: readonly Hash[]): Hash =>
  subtrees.length === 0 ? EMPTY_ROOT : subtrees.reduceRight((right, left) => hashNode(left, right));

/** The root of the leaves themselves: for small trees. */
export function rootOf(leaves: Iterable<Hash>): Hash {
  const growing = new GrowingRoot();
  for (const leaf of leaves) growing.add(leaf);
  return growing.root;
}

/** The largest power of two below `size`, which is 2 or more. */
function splitOf(size: number): number {
  let split = 1;
  while (split * 2 < size) split *= 2;
  return split;
}

/** The root over the leaves `[start, end)`, of which the first is where a subtree of that size can begin. */
export async function rangeRoot(start: number, end: number, subtree: SubtreeHash): Promise<Hash> {
  const size = end - start;
  if (size === 0) return EMPTY_ROOT;
  if (size === 1) return subtree(0, start);
  const split = splitOf(size);
  if (split * 2 === size) return subtree(Math.log2(size), start / size);
  const left = await rangeRoot(start, start + split, subtree);
  return hashNode(left, await rangeRoot(start + split, end, subtree));
}

/** From the sibling of the leaf up to the child of the root. */
export async function inclusionProof(index: number, size: number, subtree: SubtreeHash): Promise<readonly Hash[]> {
  if (index < 0 || index >= size) throw new RangeError(`a tree of ${size} leaves has no leaf ${index}`);
  const proof: Hash[] = [];
  for (let [start, end] = [0, size]; end - start > 1;) {
    const split = start + splitOf(end - start);
    if (index < split) {
      proof.push(await rangeRoot(split, end, subtree));
      end = split;
    } else {
      proof.push(await rangeRoot(start, split, subtree));
      start = split;
    }
  }
  return proof.reverse();
}

/** That the tree of `size` leaves begins with the tree of `first` leaves. */
export async function consistencyProof(first: number, size: number, subtree: SubtreeHash): Promise<readonly Hash[]> {
  if (first < 0 || first > size) throw new RangeError(`a tree of ${size} leaves does not begin with ${first}`);
  if (first === 0 || first === size) return [];
  const proof: Hash[] = [];
  let [start, end] = [0, size];
  // The verifier knows the root of the first tree: it is left out as long as it is the left edge.
  for (let isKnown = true; ;) {
    if (first === end) {
      if (!isKnown) proof.push(await rangeRoot(start, end, subtree));
      return proof.reverse();
    }
    const split = start + splitOf(end - start);
    if (first <= split) {
      proof.push(await rangeRoot(split, end, subtree));
      end = split;
    } else {
      proof.push(await rangeRoot(start, split, subtree));
      start = split;
      isKnown = false;
    }
  }
}

const isOdd = (value: number): boolean => value % 2 === 1;
const half = (value: number): number => Math.floor(value / 2);

/** As RFC 9162, section 2.1.3.2. Never throws. */
export function verifyInclusion(
  { index, size, root }: { readonly index: number; readonly size: number; readonly root: Uint8Array },
  leaf: Hash,
  proof: readonly Hash[],
): boolean {
  if (!Number.isSafeInteger(index) || index < 0 || index >= size) return false;
  let [position, last, computed] = [index, size - 1, leaf];
  for (const sibling of proof) {
    if (last === 0) return false;
    if (isOdd(position) || position === last) {
      computed = hashNode(sibling, computed);
      while (!isOdd(position) && position !== 0) [position, last] = [half(position), half(last)];
    } else computed = hashNode(computed, sibling);
    [position, last] = [half(position), half(last)];
  }
  return last === 0 && computed.equals(root);
}

export interface TreeHead {
  readonly size: number;
  readonly root: Uint8Array;
}

/** As RFC 9162, section 2.1.4.2. Never throws. */
export function verifyConsistency(first: TreeHead, second: TreeHead, proof: readonly Hash[]): boolean {
  const same = Buffer.from(first.root).equals(second.root);
  if (first.size > second.size) return false;
  if (first.size === second.size) return proof.length === 0 && same;
  if (first.size === 0) return proof.length === 0 && EMPTY_ROOT.equals(first.root);
  let [position, last] = [first.size - 1, second.size - 1];
  while (isOdd(position)) [position, last] = [half(position), half(last)];
  const [start, ...rest] = position === 0 ? [Buffer.from(first.root), ...proof] : proof;
  if (start === undefined) return false;
  let [one, two] = [start, start];
  for (const sibling of rest) {
    if (last === 0) return false;
    if (isOdd(position) || position === last) {
      one = hashNode(sibling, one);
      two = hashNode(sibling, two);
      while (!isOdd(position) && position !== 0) [position, last] = [half(position), half(last)];
    } else two = hashNode(two, sibling);
    [position, last] = [half(position), half(last)];
  }
  return last === 0 && one.equals(first.root) && two.equals(second.root);
}
