import { setImmediate } from 'node:timers/promises';

import type { DataSource } from 'typeorm';

import { type EventStore, type RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Progress } from '#libs/event-store/src/subscriber.js';
import type { EventReader } from '#libs/event-index/src/event-reader.adapter.js';
import { followers } from '#libs/events/src/followers.js';

import { Checkpoints, type CheckpointFinding } from './check-checkpoints.js';
import { compareLeaves, type Difference, explain, type KeptLeaf, type LogLeaf } from './compare-leaves.js';
import { keptLeaves, loadTrees, WHOLE_LOG } from './kept-tree.adapter.js';
import { HASH_ALONE, leafHash, ownHash } from './tree/leaf.js';
import { EMPTY_ROOT, GrowingRoot, type Hash } from './tree/merkle.js';
import { truncatedLeaves } from './truncated-leaves.js';
import { organisationOf } from './seal-log.subscriber.js';
import type { SigningKeys } from './signing-keys.js';

export interface VerifyParts {
  readonly store: EventStore;
  readonly database: DataSource;
  readonly progress: Progress;
  readonly keys: SigningKeys;
  /** Names what the log has no longer. */
  readonly events: Pick<EventReader, 'namesAt'>;
}

export interface VerifyRequest {
  readonly tree: string;
  /** A signed note that was kept elsewhere. */
  readonly checkpoint?: string;
  readonly signal: AbortSignal;
}

export interface VerifyProgress {
  /** Leaves looked at so far, of all. */
  readonly done: number;
  readonly of: number;
}

export type Finding = Difference | CheckpointFinding;

export interface Verification {
  readonly ok: boolean;
  readonly tree: string;
  readonly origin: string;
  /** Leaves of the tree, and its root as the log has it now. */
  readonly size: number;
  readonly root: string;
  /** Events that retention took out of the log: their kept hashes are in the tree. */
  readonly truncated: number;
  /** Checkpoints that were checked. */
  readonly checkpoints: number;
  /** In the order of the tree: the first is the first change. */
  readonly findings: readonly Finding[];
  /** Of large changes not every event is listed. */
  readonly more: number;
}

const PAGE = 1_000;
const TILES = 16;
const PATIENCE_MS = 60_000;
/** Most differences that are kept in memory, of each side. */
const MOST = 1_000;
const MOST_FINDINGS = 100;

/**
 * Computes a tree again from the log and holds it against the hashes that were kept when the events were recorded, and both
 * against every signed checkpoint. Memory does not grow with the log.
 */
export async function* verifyLog(
  parts: VerifyParts,
  { tree, checkpoint, signal }: VerifyRequest,
): AsyncGenerator<VerifyProgress, Verification> {
  const { store, database, progress, keys, events } = parts;
  await progress.whenProcessed(followers.seal, await store.head(), PATIENCE_MS);
  // First the tree, then the log: what is kept up to here must be there.
  const kept = (await loadTrees(database, [tree])).get(tree);
  const size = kept?.edge.size ?? 0;
  const upTo = kept?.position ?? -1n;
  const checkpoints = await Checkpoints.read(store, keys, tree, checkpoint);
  const removed = await truncatedLeaves(store, tree, upTo);
  const [now, before] = [new GrowingRoot(), new GrowingRoot()];
  const missing: KeptLeaf[] = [];
  const surplus: (LogLeaf & { readonly before: number })[] = [];
  let [done, matchedUpTo, truncated, unlisted] = [0, 0, 0, 0];

  const grow = (tree: GrowingRoot, one: Pick<KeptLeaf, 'leaf'>, side: 'kept' | 'log'): void => {
    tree.add(one.leaf);
    checkpoints.reached(side, tree);
  };
  const held = new Map<string, Hash>();
  const log = notingHashes(logLeaves(store, tree, upTo, signal), held);
  const steps = compareLeaves(keptLeaves(database, tree, size, TILES), log);
  for await (const step of steps) {
    signal.throwIfAborted();
    if (step.kind === 'same') {
      for (const one of step.leaves) {
        grow(before, one, 'kept');
        const own = held.get(one.leaf.toString('latin1'));
        if (own !== undefined && removed.has(one.index)) truncated += 1;
        // Only what retention has removed may be there as its hash alone.
        if (own === undefined || removed.has(one.index)) grow(now, one, 'log');
        else {
          grow(now, { leaf: own }, 'log');
          if (missing.length < MOST) missing.push(one);
          else unlisted += 1;
        }
      }
      matchedUpTo = done += step.leaves.length;
    } else {
      const hidden = new Set(step.missing.filter(({ index }) => removed.has(index)));
      truncated += hidden.size;
      for (const one of step.missing) {
        grow(before, one, 'kept');
        if (hidden.has(one)) grow(now, one, 'log');
        else if (missing.length < MOST) missing.push(one);
        else unlisted += 1;
      }
      for (const one of step.surplus) {
        // Recorded since: no tree has it yet.
        if (one.position > upTo) continue;
        grow(now, one, 'log');
        if (surplus.length < MOST) surplus.push({ ...one, before: done });
        else unlisted += 1;
      }
      done += step.missing.length;
      if (step.missing.at(-1) && hidden.has(step.missing.at(-1)!)) matchedUpTo = done;
    }
    yield { done, of: size };
    await setImmediate();
  }
  const names = await events.namesAt(missing.map(({ position }) => position));
  const differences = explain({ missing, surplus, size, matchedUpTo, nameAt: (position) => names.get(position) });
  const findings = checkpoints.judge(differences, size);
  return {
    ok: findings.length === 0,
    tree,
    origin: await keys.origin(tree),
    size,
    root: (size === 0 ? EMPTY_ROOT : now.root).toString('base64'),
    truncated,
    checkpoints: checkpoints.count,
    findings: findings.slice(0, MOST_FINDINGS),
    more: Math.max(0, findings.length - MOST_FINDINGS) + unlisted,
  };
}

/** Notes the events that have the hash of another in place of what it said, and what their own hashes are. */
async function* notingHashes(
  pages: AsyncIterable<readonly (LogLeaf & { readonly event: RecordedEvent })[]>,
  held: Map<string, Hash>,
): AsyncGenerator<readonly LogLeaf[]> {
  for await (const page of pages) {
    for (const { leaf, event } of page)
      if (event.type === HASH_ALONE) held.set(leaf.toString('latin1'), ownHash(event));
    yield page;
  }
}

/**
 * Reads the next page while the last one is hashed. Goes a page beyond `upTo`: who adds an event by hand can renumber those
 * behind it.
 */
export async function* logLeaves(
  store: EventStore,
  tree: string,
  upTo: bigint,
  signal: AbortSignal,
): AsyncGenerator<readonly (LogLeaf & { readonly event: RecordedEvent })[]> {
  const isOurs = (event: RecordedEvent): boolean => tree === WHOLE_LOG || organisationOf(event).includes(tree);
  let next = store.readAll({ limit: PAGE });
  for (let isBeyond = false; ;) {
    const page = await next;
    signal.throwIfAborted();
    const isLast = page.end || isBeyond;
    isBeyond = page.position >= upTo;
    if (!isLast) {
      next = store.readAll({ after: page.position, limit: PAGE });
      // It is awaited in the next round, which may never come.
      next.catch(() => undefined);
    }
    yield page.events.filter(isOurs).map((event) => ({ position: event.position, leaf: leafHash(event), event }));
    if (isLast) return;
  }
}
