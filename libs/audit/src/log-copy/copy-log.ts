import { isUtf8 } from 'node:buffer';

import {
  type EventStore,
  type EventToAppend,
  MAX_APPEND_BYTES,
  type RecordedEvent,
  WrongRevision,
} from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { eventIdOf } from '#libs/events/src/envelope.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { uuid5, type Uuid } from '#libs/kernel/src/ids.js';

import { HASH_ALONE, leafHash } from '../proof/tree/leaf.js';
import { GrowingRoot, type Hash } from '../proof/tree/merkle.js';

/** A leaf of the source whose event retention has removed, if it is not in the log. */
export interface RemovedEvent {
  readonly position: bigint;
  readonly leaf: Hash;
  readonly orgId: string;
  /** Takes a place in one of the streams that were removed with it; `undefined` if all are taken. */
  readonly place: () => { readonly stream: string; readonly revision: bigint } | undefined;
}

export interface CopySource {
  readonly store: EventStore;
  /** In order; none where nothing was removed. */
  removed(): AsyncIterable<RemovedEvent>;
}

export interface CopyProgress {
  readonly step: 'copying' | 'verifying';
  readonly done: number;
}

export interface CopyResult {
  /** Events of both logs. */
  readonly size: number;
  /** Of the tree of both, base64. */
  readonly root: string;
  /** Events that this run has appended. */
  readonly copied: number;
  /** Events that stand in the copy for what retention had removed. */
  readonly removed: number;
}

export interface Copying {
  readonly signal: AbortSignal;
  readonly onProgress: (progress: CopyProgress) => void;
}

/** An event on its way: where it belongs, and what its leaf is. */
interface Item {
  readonly stream: string;
  readonly revision: bigint;
  readonly event: EventToAppend;
}

const PAGE = 1_000;
/** So many streams are written at once: one transaction of PostgreSQL, one line of EventStoreDB. */
const WINDOW = 250;

/**
 * Copies a log, event by event in its order, into an empty one or into an earlier copy of it: whatever ended the last run, the
 * next one goes on where it stopped. Ids, streams, revisions, types, data and metadata are the same, so the trees are too; that
 * is verified at the end by reading both.
 * @throws Rejected `copy.target_in_use`, `copy.order_lost`, `copy.not_text`, `copy.differs`
 */
export async function copyLog(source: CopySource, target: EventStore, copying: Copying): Promise<CopyResult> {
  const { signal, onProgress } = copying;
  // What comes later is copied by the next run.
  const head = await source.store.head();
  const { count: already, last: newest } = await contents(target);
  let [seen, copied] = [0, 0];
  let window: Item[][] = [];
  let bytes = 0;
  const write = async (): Promise<void> => {
    if (window.length === 0) return;
    await writeWindow(target, window);
    copied += window.reduce((sum, { length }) => sum + length, 0);
    crashPoint('copy.after-window');
    onProgress({ step: 'copying', done: already + copied });
    [window, bytes] = [[], 0];
  };
  for await (const { item } of itemsOf(source, head, signal)) {
    seen += 1;
    if (seen === already && item.event.id !== newest) throw inUse();
    if (seen <= already) continue;
    const own = Buffer.byteLength(item.event.data) + Buffer.byteLength(item.event.metadata);
    const last = window.at(-1);
    const isNext = last?.at(-1)!.stream === item.stream;
    const isInWindow = !isNext && window.some(([first]) => first!.stream === item.stream);
    if (bytes + own > MAX_APPEND_BYTES || isInWindow || (window.length === WINDOW && !isNext)) await write();
    if (isNext && window.length > 0) window.at(-1)!.push(item);
    else window.push([item]);
    bytes += own;
  }
  await write();
  if (seen < already) throw inUse();
  return { copied, ...(await compare(source, target, head, copying)) };
}

/** Each append says where it belongs; so what an ended run has already appended is not appended again. */
async function writeWindow(target: EventStore, window: readonly (readonly Item[])[]): Promise<void> {
  let answers;
  try {
    answers = await Promise.all(
      window.map((items) =>
        target.append(
          items[0]!.stream,
          items.map(({ event }) => event),
          items[0]!.revision === 0n ? 'no-stream' : items[0]!.revision - 1n,
        ),
      ),
    );
  } catch (error) {
    if (!(error instanceof WrongRevision)) throw error;
    throw error.actual === undefined && error.expected !== 'no-stream' ? beginningMissing(error.stream) : inUse();
  }
  const positions = answers.map(({ position }) => position);
  if (positions.every((position, n) => n === 0 || position > positions[n - 1]!)) return;
  throw new Rejected(
    'conflict',
    'copy.order_lost',
    'The target lost its connection and stored some events in another order. Empty it, or choose another prefix, and copy again.',
  );
}

const beginningMissing = (stream: string): Rejected =>
  new Rejected(
    'conflict',
    'copy.views_needed',
    `The beginning of stream ${stream} was removed. Give the PostgreSQL of the servers with --views: it has the hashes of what retention has removed.`,
  );

const inUse = (): Rejected =>
  new Rejected(
    'conflict',
    'copy.target_in_use',
    'The target holds events that the source does not have. Copy into an empty log, or into an earlier copy that no server has used.',
  );

/** What is there: how many events, since positions are sparse, and the id of the newest. */
async function contents(store: EventStore): Promise<{ readonly count: number; readonly last: Uuid | undefined }> {
  let count = 0;
  let last: Uuid | undefined;
  for (let after: bigint | undefined; ;) {
    const page = await store.readAll({ limit: PAGE, ...(after !== undefined && { after }) });
    count += page.events.length;
    last = page.events.at(-1)?.id ?? last;
    if (page.end) return { count, last };
    after = page.position;
  }
}

/** The events up to `head` in order, with those that stand for removed ones in their places. */
async function* itemsOf(
  { store, removed }: CopySource,
  head: bigint,
  signal: AbortSignal,
): AsyncGenerator<{ readonly item: Item; readonly leaf: Hash; readonly isRemoved: boolean }> {
  const gone = removed()[Symbol.asyncIterator]();
  let next = await gone.next();
  for (let after: bigint | undefined; ;) {
    signal.throwIfAborted();
    const page = await store.readAll({ limit: PAGE, ...(after !== undefined && { after }) });
    for (const event of page.events) {
      while (next.done !== true && next.value.position < event.position) {
        yield { item: placeholder(next.value), leaf: next.value.leaf, isRemoved: true };
        next = await gone.next();
      }
      // Retention has named it, and its stream has gone on since.
      if (next.done !== true && next.value.position === event.position) next = await gone.next();
      if (event.position > head) return;
      yield { item: itemOf(event), leaf: leafHash(event), isRemoved: false };
    }
    after = page.position;
    if (!page.end && after <= head) continue;
    for (; next.done !== true && next.value.position <= head; next = await gone.next())
      yield { item: placeholder(next.value), leaf: next.value.leaf, isRemoved: true };
    return;
  }
}

function itemOf(event: RecordedEvent): Item {
  const { stream, revision, id, type, rawData, rawMetadata } = event;
  for (const raw of [rawData, rawMetadata])
    if (typeof raw !== 'string' && !isUtf8(raw))
      throw new Rejected(
        'conflict',
        'copy.not_text',
        `Event ${eventIdOf(id)} in stream ${stream} was written by another program: its bytes are no text. It cannot be copied.`,
      );
  return { stream, revision, event: { id, type, data: event.dataJson, metadata: event.metadataJson } };
}

/** The same at each run: its id follows from what it stands for. */
function placeholder({ position, place, leaf, orgId }: RemovedEvent): Item {
  const { stream, revision } = place() ?? unnamed(position);
  const hash = leaf.toString('base64');
  const event = newEvent(
    { type: 'log.truncated', data: { leaf: hash } },
    {
      id: uuid5(HASH_ALONE, stream, String(revision), hash),
      orgId,
      actor: 'millrace log copy',
      now: new Date(0),
      subject: 'log',
    },
  );
  return { stream, revision, event };
}

function unnamed(position: bigint): never {
  throw new Rejected(
    'conflict',
    'copy.unknown_event',
    `The event that was at position ${position} was removed from the log, and not by retention. "millrace audit verify" says more.`,
  );
}

async function compare(
  source: CopySource,
  target: EventStore,
  head: bigint,
  { signal, onProgress }: Copying,
): Promise<Omit<CopyResult, 'copied'>> {
  const [ours, theirs] = [new GrowingRoot(), new GrowingRoot()];
  let removed = 0;
  const copies = leavesOf(target, signal);
  for await (const { leaf, isRemoved } of itemsOf(source, head, signal)) {
    const copy = await copies.next();
    if (copy.done === true || !copy.value.equals(leaf)) throw differs(ours.size);
    ours.add(leaf);
    theirs.add(copy.value);
    if (isRemoved) removed += 1;
    if (ours.size % PAGE === 0) onProgress({ step: 'verifying', done: ours.size });
  }
  if ((await copies.next()).done !== true || !ours.root.equals(theirs.root)) throw differs(ours.size);
  return { size: theirs.size, root: theirs.root.toString('base64'), removed };
}

async function* leavesOf(store: EventStore, signal: AbortSignal): AsyncGenerator<Hash> {
  for (let after: bigint | undefined; ;) {
    signal.throwIfAborted();
    const page = await store.readAll({ limit: PAGE, ...(after !== undefined && { after }) });
    for (const event of page.events) yield leafHash(event);
    if (page.end) return;
    after = page.position;
  }
}

const differs = (index: number): Rejected =>
  new Rejected(
    'conflict',
    'copy.differs',
    `The target differs from the source from event ${index} on (counted from 0). Empty it, and copy again.`,
  );
