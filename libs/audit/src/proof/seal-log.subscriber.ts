import { Inject, Injectable } from '@nestjs/common';

import { type RecordedEvent, Unreadable } from '#libs/event-store/src/event-store.js';
import type { Subscriber, SubscriberContext, ViewTransaction } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import { streams } from '#libs/events/src/streams.js';
import { PREFIXES } from '#libs/kernel/src/ids.js';
import { Settings } from '#libs/kernel/src/settings.js';
import { timeAfter } from '#libs/kernel/src/time/times.js';
import { type Work, WorkQueue } from '#libs/persistence/src/claims/work.js';

import { type KeptTree, loadTrees, saveTrees, WHOLE_LOG } from './kept-tree.adapter.js';
import { leafHash } from './tree/leaf.js';
import type { Hash } from './tree/merkle.js';
import { SigningKeys } from './signing-keys.js';
import { unsigned } from './tree/lineage.js';
import type { SealTask } from './seal-tree.worker.js';
import { RightEdge } from './tree/tiles.js';

/** A tree is sealed when this many events have come since its last checkpoint, or after a time. */
export const SEAL_EVENTS = 10_000;
/** Trees in memory: each takes some kilobytes. */
const MOST_TREES = 500;

/** A tree, and what its row of work says. */
interface Tree extends KeptTree {
  scheduled: Date | undefined;
  /** Position of the event by which `sealAt` is what it is: the row does not depend on how events come in batches. */
  dueSince: bigint;
}

/**
 * Keeps the hash of every event, in the tree of the whole log and in that of its organisation, and asks for a checkpoint when
 * one is due. The row of work of a tree is there while it has events that no checkpoint covers. Checkpoints are events too, but
 * ask for no other: a quiet log stays quiet.
 */
@Injectable()
export class SealLog implements Subscriber {
  readonly name = followers.seal;
  readonly reads = 'all' as const;
  readonly writes = [] as const;
  readonly batchSize = 2_000;
  readonly gathers = true;
  readonly seesQuarantined = true;
  private readonly trees = new Map<string, Tree>();
  private active: AbortSignal | undefined;

  constructor(
    @Inject(WorkQueue) private readonly work: WorkQueue,
    @Inject(SigningKeys) private readonly keys: Pick<SigningKeys, 'origin'>,
    @Inject(Settings) private readonly settings: Pick<Settings, 'sealEvery' | 'witnessUrl'>,
  ) {}

  async handle(events: readonly RecordedEvent[], context: SubscriberContext): Promise<void> {
    // Another process may have been active in between.
    if (context.signal !== this.active || this.trees.size > MOST_TREES) this.trees.clear();
    this.active = context.signal;
    const tx = await context.transaction();
    tx.onEnd((isCommitted) => {
      if (!isCommitted) this.trees.clear();
    });
    const treesOf = events.map((event) => [WHOLE_LOG, ...organisationOf(event)]);
    const touched = new Set(treesOf.flat());
    await this.load(tx, touched);
    for (const [index, event] of events.entries()) {
      const leaf = leafHash(event);
      for (const name of treesOf[index]!) this.add(this.trees.get(name)!, event, leaf);
      if (event.is('log.sealed') && event.stream === streams.seals(event.data.tree)) {
        const { tree, size } = event.data;
        touched.add(tree);
        await this.load(tx, new Set([tree]));
        // Of a log that was copied: this installation has yet to sign it.
        if (unsigned(event.data.note)?.origin === (await this.keys.origin(tree)))
          this.sealed(this.trees.get(tree)!, size, event);
      }
    }
    await this.scheduleWitness(tx, events);
    const changed = [...touched].map((name) => [name, this.trees.get(name)!] as const);
    saveTrees(tx, changed);
    await this.schedule(tx, changed);
  }

  private async load(tx: ViewTransaction, names: ReadonlySet<string>): Promise<void> {
    const missing = [...names].filter((name) => !this.trees.has(name));
    if (missing.length === 0) return;
    const known = await loadTrees(tx, missing);
    for (const name of missing) {
      const tree = known.get(name) ?? newTree();
      this.trees.set(name, { ...tree, scheduled: tree.sealAt, dueSince: tree.position });
    }
  }

  private add(tree: Tree, event: RecordedEvent, leaf: Hash): void {
    // Given again after it was set aside: there is no place for it any more.
    if (event.position <= tree.position) return;
    tree.edge.append(leaf, event.position);
    tree.position = event.position;
    // What follows from a checkpoint asks for no other: a quiet log stays quiet.
    if (event.type === 'log.sealed' || event.type === 'log.cosigned') return;
    tree.toSeal = tree.edge.size;
    if (tree.sealAt === undefined) sealIn(this.settings.sealEvery, tree, event);
    else if (tree.edge.size - tree.sealedSize >= SEAL_EVENTS && tree.sealAt > event.created) sealIn(0, tree, event);
  }

  private sealed(tree: Tree, size: number, event: RecordedEvent): void {
    tree.sealedSize = Math.max(tree.sealedSize, size);
    const dueIn = tree.edge.size - tree.sealedSize >= SEAL_EVENTS ? 0 : this.settings.sealEvery;
    if (tree.toSeal > tree.sealedSize) sealIn(dueIn, tree, event);
    else tree.sealAt = undefined;
  }

  /** The newest checkpoint of each tree goes to the witness; what it has signed is done. */
  private async scheduleWitness(tx: ViewTransaction, events: readonly RecordedEvent[]): Promise<void> {
    if (this.settings.witnessUrl === undefined) return;
    const due = new Map<string, Work<SealTask>>();
    const done = new Set<string>();
    for (const event of events) {
      const isOwn = event.is('log.sealed') && this.trees.get(event.data.tree)?.sealedSize === event.data.size;
      if (isOwn) {
        const { tree } = event.data;
        const { created: dueAt, position } = event;
        due.set(tree, { queue: followers.witness, key: tree, dueAt, payload: { tree }, position });
        done.delete(tree);
      } else if (event.is('log.cosigned') && this.trees.get(event.data.tree)?.sealedSize === event.data.size) {
        due.delete(event.data.tree);
        done.add(event.data.tree);
      }
    }
    await this.work.schedule(tx, [...due.values()]);
    await this.work.remove(tx, followers.witness, [...done]);
  }

  private async schedule(tx: ViewTransaction, trees: readonly (readonly [string, Tree])[]): Promise<void> {
    const moved = trees.filter(([, { sealAt, scheduled }]) => sealAt?.getTime() !== scheduled?.getTime());
    const due = moved.flatMap(([tree, { sealAt: dueAt, dueSince: position }]) => {
      const payload: SealTask = { tree };
      return dueAt ? [{ queue: followers.seal, key: tree, dueAt, payload, position }] : [];
    });
    await this.work.schedule(tx, due);
    const done = moved.flatMap(([tree, { sealAt }]) => (sealAt ? [] : [tree]));
    await this.work.remove(tx, followers.seal, done);
    for (const [, tree] of moved) tree.scheduled = tree.sealAt;
  }
}

function sealIn(milliseconds: number, tree: Tree, { created, position }: RecordedEvent): void {
  tree.sealAt = timeAfter(created, milliseconds);
  tree.dueSince = position;
}

const newTree = (): KeptTree => ({
  edge: new RightEdge(),
  toSeal: 0,
  sealedSize: 0,
  sealAt: undefined,
  position: -1n,
});

/** Others may have written to our streams: what has no organisation is in the tree of the whole log alone. */
export function organisationOf(event: RecordedEvent): readonly string[] {
  try {
    const { orgId } = event.metadata;
    return orgId.startsWith(`${PREFIXES.organisation}_`) ? [orgId] : [];
  } catch (error) {
    if (error instanceof Unreadable) return [];
    throw error;
  }
}
