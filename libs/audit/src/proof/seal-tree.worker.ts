import { appendOnce } from '#libs/event-store/src/append-once.js';
import type { EventStore, RecordedEvent } from '#libs/event-store/src/event-store.js';
import { readLast, readWhole } from '#libs/event-store/src/reading.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import type { Progress } from '#libs/event-store/src/subscriber.js';
import type { DataOf } from '#libs/events/src/catalogue.js';
import { DEFAULT_ORG, ENGINE } from '#libs/events/src/envelope.js';
import { followers } from '#libs/events/src/followers.js';
import { streams } from '#libs/events/src/streams.js';
import type { Clock } from '#libs/kernel/src/clock.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';
import { messageOf } from '#libs/kernel/src/errors.js';
import { uuid5 } from '#libs/kernel/src/ids.js';
import type { Log } from '#libs/kernel/src/log.js';
import type { ClaimedWork, WorkDone, Worker } from '#libs/persistence/src/claims/work.js';

import { type Checkpoint, checkpointText, NEXT_KEY } from './tree/checkpoint.js';
import { continuesLine, unsigned } from './tree/lineage.js';
import type { CheckpointFile } from './checkpoint-file.adapter.js';
import { type KeptTree, WHOLE_LOG } from './kept-tree.adapter.js';
import { signNote } from './tree/note.js';
import type { SigningKeys } from './signing-keys.js';

export interface SealTask {
  readonly tree: string;
}

interface Earlier {
  readonly own?: DataOf<'log.sealed'>;
  readonly inherited?: Checkpoint | undefined;
}

export interface SealTreeParts {
  readonly store: EventStore;
  readonly clock: Clock;
  readonly progress: Progress;
  readonly keys: SigningKeys;
  readonly treeOf: (name: string) => Promise<KeptTree | undefined>;
  readonly file: CheckpointFile | undefined;
  readonly log: Log;
}

/**
 * Signs a checkpoint of a tree. Its place is the revision after the last one: of two processes, or of one that died and comes
 * back, only the first appends.
 */
export class SealTree implements Worker<SealTask> {
  readonly queue = followers.seal;
  readonly concurrency = 2;
  readonly writes = ['log.sealed'] as const;

  constructor(private readonly parts: SealTreeParts) {}

  async run({ payload: { tree }, position: nothing }: ClaimedWork<SealTask>): Promise<WorkDone> {
    const { store, clock, progress, treeOf } = this.parts;
    // After a crash the checkpoint may be in the log and not yet noticed.
    await progress.whenProcessed(followers.seal, await store.head());
    const kept = await treeOf(tree);
    const now = clock.now();
    if (kept?.sealAt === undefined || kept.sealAt > now) return { position: nothing };
    const stream = streams.seals(tree);
    const last = await readLast(store, stream);
    const earlier = await this.earlier(tree, last);
    // Another process made it after the tree was read here.
    if (earlier.own && earlier.own.size >= kept.edge.size) return { position: last!.position };
    const data = await this.sign(tree, kept, earlier);
    const orgId = tree === WHOLE_LOG ? DEFAULT_ORG : tree;
    const event = newEvent(
      { type: 'log.sealed', data },
      { id: uuid5(followers.seal, tree, String(data.size)), orgId, actor: ENGINE, now, subject: `tree/${tree}` },
    );
    crashPoint('audit.before-seal');
    const { position, repeated } = await appendOnce(store, stream, [event], last?.revision ?? 'no-stream');
    crashPoint('audit.after-seal');
    await this.publish([...(earlier.own ? [earlier.own.note] : []), ...(repeated ? [] : [data.note])]);
    return { position };
  }

  private async sign(
    tree: string,
    { edge: { size, root } }: KeptTree,
    { own: earlier, inherited }: Earlier,
  ): Promise<DataOf<'log.sealed'>> {
    const { keys } = this.parts;
    const key = await keys.current();
    const signer = await keys.signer(key, tree);
    // Who trusts the old key learns of the new one from a text that the old key signed.
    const before = earlier && earlier.key < key ? await keys.signer(earlier.key, tree) : undefined;
    const extensions = [
      ...(before ? [`${NEXT_KEY}${signer.verifier.vkey}`] : []),
      ...(inherited ? [continuesLine(inherited)] : []),
    ];
    const text = checkpointText({ origin: await keys.origin(tree), size, root, extensions });
    return {
      tree,
      size,
      root: root.toString('base64'),
      key,
      note: signNote(text, [...(before ? [before] : []), signer]),
    };
  }

  /** The checkpoint before; of a log that was copied and has none of this installation, the last one that came with it. */
  private async earlier(tree: string, last: RecordedEvent | undefined): Promise<Earlier> {
    if (!last?.is('log.sealed')) return {};
    const { keys, store } = this.parts;
    const origin = await keys.origin(tree);
    if (unsigned(last.data.note)?.origin === origin) return { own: last.data };
    const seals = await readWhole(store, streams.seals(tree));
    const all = seals.flatMap((event) => (event.isReadable && event.is('log.sealed') ? [event.data] : []));
    const own = all.findLast(({ note }) => unsigned(note)?.origin === origin);
    return own ? { own } : { inherited: unsigned(last.data.note) };
  }

  /** With the one before: a process may have died before it was written. */
  private async publish(notes: readonly string[]): Promise<void> {
    const { file, log } = this.parts;
    try {
      await file?.keep(notes);
    } catch (error) {
      log.error({ error: messageOf(error) }, 'a checkpoint could not be written to its file; the next one tries again');
    }
  }
}
