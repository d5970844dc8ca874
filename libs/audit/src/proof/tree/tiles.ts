import { GrowingRoot, type Hash, HASH_BYTES, joined, rootOf, type SubtreeHash } from './merkle.js';

/**
 * The hashes of a tree in tiles of 256, as c2sp.org/tlog-tiles has them: level 0 holds the leaves, each hash of level n + 1 is
 * the root of a full tile of level n. Any subtree is computed from one tile, so that a proof reads two tiles a level.
 */
export const TILE_HASHES = 256;
/** 256^7 leaves are more than a number counts exactly. */
export const TILE_LEVELS = 7;
export const POSITION_BYTES = 8;

export interface Tile {
  readonly level: number;
  readonly tile: number;
  /** 32 bytes each, up to 256. */
  readonly hashes: Buffer;
  /** Of level 0: where the event of each leaf is in the log, 8 bytes each; of others empty. */
  readonly positions: Buffer;
}

export function hashesIn(tile: Buffer, from = 0, to = tile.length / HASH_BYTES): Hash[] {
  return Array.from({ length: to - from }, (_, n) =>
    tile.subarray((from + n) * HASH_BYTES, (from + n + 1) * HASH_BYTES),
  );
}

/** @param read the hashes of a tile: at least those of the subtrees that exist. */
export const subtreesIn =
  (read: (level: number, tile: number) => Buffer | Promise<Buffer>): SubtreeHash =>
  async (level, index) => {
    const within = level % 8;
    const first = index * 2 ** within;
    const tile = await read((level - within) / 8, Math.floor(first / TILE_HASHES));
    const offset = first % TILE_HASHES;
    return rootOf(hashesIn(tile, offset, offset + 2 ** within));
  };

/** A tile that is not full. */
interface Partial {
  tile: number;
  count: number;
  readonly hashes: Buffer;
  changed: boolean;
}

/** The growing end of a tree: the tiles that are not full, one a level. */
export class RightEdge {
  private readonly levels: Partial[] = [];
  private readonly positions = Buffer.alloc(TILE_HASHES * POSITION_BYTES);
  private full: Tile[] = [];

  /** @param tiles that are not full, in any order. */
  constructor(
    public size = 0,
    tiles: readonly Tile[] = [],
  ) {
    for (let level = 0, above = size; above > 0; level++) {
      const partial = this.level(level);
      partial.tile = Math.floor(above / TILE_HASHES);
      partial.count = above % TILE_HASHES;
      above = partial.tile;
    }
    for (const { level, hashes, positions } of tiles) {
      this.level(level).hashes.set(hashes);
      if (level === 0) this.positions.set(positions);
    }
  }

  append(leaf: Hash, position: bigint): void {
    this.positions.writeBigInt64BE(position, this.level(0).count * POSITION_BYTES);
    this.add(0, leaf);
    this.size += 1;
  }

  get root(): Hash {
    const subtrees = this.levels.map(({ hashes, count }) => {
      const growing = new GrowingRoot();
      for (const hash of hashesIn(hashes, 0, count)) growing.add(hash);
      return growing.perfectSubtrees;
    });
    return joined(subtrees.reverse().flat());
  }

  /** The tiles that have changed since the last call. */
  takeChanges(): readonly Tile[] {
    const changes = this.full;
    this.full = [];
    for (const [level, partial] of this.levels.entries()) {
      if (partial.changed && partial.count > 0) changes.push(this.tileOf(level, partial));
      partial.changed = false;
    }
    return changes;
  }

  private add(level: number, hash: Hash): void {
    const partial = this.level(level);
    partial.hashes.set(hash, partial.count * HASH_BYTES);
    partial.count += 1;
    partial.changed = true;
    if (partial.count < TILE_HASHES) return;
    this.full.push(this.tileOf(level, partial));
    this.add(level + 1, rootOf(hashesIn(partial.hashes)));
    partial.tile += 1;
    partial.count = 0;
    partial.changed = false;
  }

  private tileOf(level: number, { tile, count, hashes }: Partial): Tile {
    const positions = level === 0 ? Buffer.from(this.positions.subarray(0, count * POSITION_BYTES)) : Buffer.alloc(0);
    return { level, tile, hashes: Buffer.from(hashes.subarray(0, count * HASH_BYTES)), positions };
  }

  private level(level: number): Partial {
    return (this.levels[level] ??= {
      tile: 0,
      count: 0,
      hashes: Buffer.alloc(TILE_HASHES * HASH_BYTES),
      changed: false,
    });
  }
}
