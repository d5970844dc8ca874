import type { DataSource } from 'typeorm';

import type { ViewTransaction } from '#libs/event-store/src/subscriber.js';

import type { KeptLeaf } from './compare-leaves.js';
import { type Hash, HASH_BYTES, type SubtreeHash } from './tree/merkle.js';
import { hashesIn, POSITION_BYTES, RightEdge, subtreesIn, type Tile, TILE_HASHES, TILE_LEVELS } from './tree/tiles.js';

/** The tree over all events; others have the id of their organisation. */
export const WHOLE_LOG = 'log';

/** How far a tree is kept and sealed. */
export interface KeptTree {
  readonly edge: RightEdge;
  /** Everything before this index is to be sealed; what follows are checkpoints, which ask for no other. */
  toSeal: number;
  sealedSize: number;
  /** When the next checkpoint is due; absent while there is nothing to seal. */
  sealAt: Date | undefined;
  /** Of its last leaf. */
  position: bigint;
}

type Reading = Pick<ViewTransaction | DataSource, 'query'>;

interface Row {
  readonly tree: string;
  readonly size: string;
  readonly to_seal: string;
  readonly sealed_size: string;
  readonly seal_at: Date | null;
  readonly position: string;
  readonly level: number | null;
  readonly tile: string | null;
  readonly hashes: Buffer | null;
  readonly positions: Buffer | null;
}

/** Each tree with its tiles that are not full: in one statement, so that they belong together. */
const LOAD = `
  select t.tree, t.size, t.to_seal, t.sealed_size, t.seal_at, t.position, e.level, e.tile, e.hashes, e.positions
    from views.log_trees t
    left join lateral (
      select a.level, a.tile, a.hashes, a.positions from generate_series(0, ${TILE_LEVELS - 1}) g (level)
       join views.log_tiles a on a.tree = t.tree and a.level = g.level
        and a.tile = trunc(t.size / (${TILE_HASHES}::numeric ^ (g.level + 1)))::bigint
    ) e on true
   where t.tree = any($1::text[])`;

/** The trees with these names; those that have no leaf are missing. */
export async function loadTrees(database: Reading, names: readonly string[]): Promise<ReadonlyMap<string, KeptTree>> {
  const rows = await database.query<Row[]>(LOAD, [names]);
  const trees = new Map<string, KeptTree>();
  for (const row of rows) {
    if (trees.has(row.tree)) continue;
    const tiles = rows.flatMap(({ tree, level, tile, hashes, positions }): Tile[] =>
      tree !== row.tree || level === null
        ? []
        : [{ level, tile: Number(tile), hashes: hashes!, positions: positions! }],
    );
    trees.set(row.tree, {
      edge: new RightEdge(Number(row.size), tiles),
      toSeal: Number(row.to_seal),
      sealedSize: Number(row.sealed_size),
      sealAt: row.seal_at ?? undefined,
      position: BigInt(row.position),
    });
  }
  return trees;
}

/** Writes what has changed. */
export function saveTrees(tx: Pick<ViewTransaction, 'write'>, trees: readonly (readonly [string, KeptTree])[]): void {
  const tiles = trees.flatMap(([tree, { edge }]) => edge.takeChanges().map((tile) => ({ tree, ...tile })));
  tx.write(
    `insert into views.log_tiles (tree, level, tile, hashes, positions, first_position)
     select * from unnest($1::text[], $2::smallint[], $3::bigint[], $4::bytea[], $5::bytea[], $6::bigint[])
     on conflict (tree, level, tile) do update set hashes = excluded.hashes, positions = excluded.positions`,
    [
      tiles.map(({ tree }) => tree),
      tiles.map(({ level }) => level),
      tiles.map(({ tile }) => tile),
      tiles.map(({ hashes }) => hashes),
      tiles.map(({ positions }) => positions),
      tiles.map(({ level, positions }) => (level === 0 ? String(positions.readBigInt64BE()) : '0')),
    ],
  );
  tx.write(
    `insert into views.log_trees (tree, size, to_seal, sealed_size, seal_at, position)
     select * from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::timestamptz[], $6::bigint[])
     on conflict (tree) do update set size = excluded.size, to_seal = excluded.to_seal,
       sealed_size = excluded.sealed_size, seal_at = excluded.seal_at, position = excluded.position`,
    [
      trees.map(([tree]) => tree),
      trees.map(([, { edge }]) => edge.size),
      trees.map(([, { toSeal }]) => toSeal),
      trees.map(([, { sealedSize }]) => sealedSize),
      trees.map(([, { sealAt }]) => sealAt?.toISOString() ?? null),
      trees.map(([, { position }]) => String(position)),
    ],
  );
}

/** Subtrees of a tree for proofs. Each tile is read once. */
export function keptSubtrees(database: Reading, tree: string): SubtreeHash {
  const read = new Map<string, Promise<Buffer>>();
  return subtreesIn((level, tile) => {
    const key = `${level}/${tile}`;
    const known = read.get(key) ?? readTile(database, tree, level, tile);
    read.set(key, known);
    return known;
  });
}

async function readTile(database: Reading, tree: string, level: number, tile: number): Promise<Buffer> {
  const [row] = await database.query<{ hashes: Buffer }[]>(
    'select hashes from views.log_tiles where tree = $1 and level = $2 and tile = $3',
    [tree, level, tile],
  );
  return row?.hashes ?? Buffer.alloc(0);
}

/** The index of the leaf whose event is at `position`; `undefined` if the tree does not have it. */
export async function indexAt(database: Reading, tree: string, position: bigint): Promise<number | undefined> {
  const [row] = await database.query<{ tile: string; positions: Buffer }[]>(
    `select tile, positions from views.log_tiles
      where tree = $1 and level = 0 and first_position <= $2 order by first_position desc limit 1`,
    [tree, String(position)],
  );
  if (!row) return undefined;
  for (let n = 0; n * POSITION_BYTES < row.positions.length; n++)
    if (row.positions.readBigInt64BE(n * POSITION_BYTES) === position) return Number(row.tile) * TILE_HASHES + n;
  return undefined;
}

/** Of many at once: those that the tree has. */
export async function indicesAt(
  database: Reading,
  tree: string,
  positions: readonly bigint[],
): Promise<ReadonlyMap<bigint, number>> {
  if (positions.length === 0) return new Map();
  const rows = await database.query<{ tile: string; positions: Buffer }[]>(
    `select tile, positions from views.log_tiles where tree = $2 and level = 0 and tile in (
       select t.tile from unnest($1::bigint[]) p (position) cross join lateral (
         select tile from views.log_tiles where tree = $2 and level = 0 and first_position <= p.position
          order by first_position desc limit 1) t)`,
    [positions.map(String), tree],
  );
  const wanted = new Set(positions);
  const found = new Map<bigint, number>();
  for (const row of rows)
    for (let n = 0; n * POSITION_BYTES < row.positions.length; n++) {
      const position = row.positions.readBigInt64BE(n * POSITION_BYTES);
      if (wanted.has(position)) found.set(position, Number(row.tile) * TILE_HASHES + n);
    }
  return found;
}

/** The hash that is kept of a leaf. */
export async function leafAt(database: Reading, tree: string, index: number): Promise<Hash> {
  const tile = await readTile(database, tree, 0, Math.floor(index / TILE_HASHES));
  return hashesIn(tile, index % TILE_HASHES, (index % TILE_HASHES) + 1)[0]!;
}

/** The leaves of a tree up to a size, in order, some tiles at a time. */
export async function* keptLeaves(
  database: Reading,
  tree: string,
  size: number,
  tilesAtOnce: number,
): AsyncGenerator<readonly KeptLeaf[]> {
  for (let from = 0; from * TILE_HASHES < size; from += tilesAtOnce) {
    const rows = await database.query<{ tile: string; hashes: Buffer; positions: Buffer }[]>(
      `select tile, hashes, positions from views.log_tiles
        where tree = $1 and level = 0 and tile >= $2 and tile < $3 order by tile`,
      [tree, from, from + tilesAtOnce],
    );
    yield rows.flatMap(({ tile, hashes, positions }) => {
      const first = Number(tile) * TILE_HASHES;
      return hashesIn(hashes, 0, Math.min(hashes.length / HASH_BYTES, size - first)).map((leaf, n) => ({
        index: first + n,
        position: positions.readBigInt64BE(n * POSITION_BYTES),
        leaf,
      }));
    });
  }
}
