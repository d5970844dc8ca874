import { isUtf8 } from 'node:buffer';

import type { DataSource } from 'typeorm';

import type { EventStore, RecordedEvent } from '#libs/event-store/src/event-store.js';
import { readLast, readWhole } from '#libs/event-store/src/reading.js';
import type { DataOf } from '#libs/events/src/catalogue.js';
import { isExportable } from '#libs/events/src/catalogue.js';
import { streams } from '#libs/events/src/streams.js';
import { Rejected } from '#libs/kernel/src/errors.js';

import { compareLeaves, type KeptLeaf, type LogLeaf } from './compare-leaves.js';
import { keptLeaves, loadTrees } from './kept-tree.adapter.js';
import { BUNDLE_FORMAT, type BundleLine } from './tree/bundle.js';
import { HASH_ALONE } from './tree/leaf.js';
import { unsigned } from './tree/lineage.js';
import type { LeafRanges } from './tree/leaf-ranges.js';
import { truncatedLeaves } from './truncated-leaves.js';
import type { SigningKeys } from './signing-keys.js';
import { logLeaves } from './verify-log.js';

export interface ExportParts {
  readonly store: EventStore;
  readonly database: DataSource;
  readonly keys: SigningKeys;
}

const TILES = 4;

/** Whether everything that is stored of an event may be given away. */
export function isOpen(event: RecordedEvent): boolean {
  if (!isExportable(event.type)) return false;
  return !event.isReadable || event.metadata.request?.replyTo === undefined;
}

/** The newest checkpoint of a tree, with the signatures of a witness. @throws Rejected `audit.not_sealed` */
export async function newestSeal(
  store: EventStore,
  keys: Pick<SigningKeys, 'origin'>,
  tree: string,
): Promise<DataOf<'log.sealed'>> {
  const last = await readLast(store, streams.seals(tree));
  // Of a log that was copied, the newest may be that of another installation.
  if (last?.is('log.sealed') && unsigned(last.data.note)?.origin === (await keys.origin(tree))) {
    const { note, size } = last.data;
    return { ...last.data, note: note + (await cosignaturesOf(store, tree, size)) };
  }
  throw new Rejected(
    'conflict',
    'audit.not_sealed',
    'There is no checkpoint yet. One is made some minutes after an event (MILLRACE_SEAL_EVERY). Try again then.',
  );
}

/** The lines of a witness, which stand below those of this installation. */
async function cosignaturesOf(store: EventStore, tree: string, size: number): Promise<string> {
  const last = await readLast(store, streams.cosignatures(tree));
  if (!last?.is('log.cosigned') || last.data.size !== size) return '';
  return last.data.cosignatures.map((line) => `${line}\n`).join('');
}

/** A tree up to its newest checkpoint, as lines of a bundle. What is no longer in the log is there by its kept hash. */
export async function* exportLog(
  { store, database, keys }: ExportParts,
  tree: string,
  signal: AbortSignal,
): AsyncGenerator<readonly BundleLine[]> {
  const { size } = await newestSeal(store, keys, tree);
  const position = (await loadTrees(database, [tree])).get(tree)?.position ?? -1n;
  const verifiers = await keys.verifiers(tree);
  const origin = await keys.origin(tree);
  yield [{ kind: 'bundle', format: BUNDLE_FORMAT, tree, origin, keys: verifiers.map(({ vkey }) => vkey) }];
  const notes = await notesBySize(store, tree);
  const removed = await truncatedLeaves(store, tree, position);
  const events = new Map<string, RecordedEvent>();
  const log = remembering(logLeaves(store, tree, position, signal), events);
  let index = 0;
  for await (const step of compareLeaves(keptLeaves(database, tree, size, TILES), log)) {
    signal.throwIfAborted();
    const kept = step.kind === 'same' ? step.leaves : step.missing;
    const lines: BundleLine[] = [];
    for (const one of kept) {
      lines.push(lineOf(one, events.get(one.leaf.toString('latin1')), removed));
      index += 1;
      const note = notes.get(index);
      if (note !== undefined) lines.push({ kind: 'checkpoint', note });
    }
    for (const one of kept) events.delete(one.leaf.toString('latin1'));
    if (lines.length > 0) yield lines;
    if (index === size) break;
  }
  yield [{ kind: 'end', size }];
}

/** Keeps the events of the leaves that pass, until they are written. */
async function* remembering(
  pages: AsyncIterable<readonly (LogLeaf & { readonly event: RecordedEvent })[]>,
  events: Map<string, RecordedEvent>,
): AsyncGenerator<readonly LogLeaf[]> {
  for await (const page of pages) {
    for (const { leaf, event } of page) events.set(leaf.toString('latin1'), event);
    yield page;
  }
}

async function notesBySize(store: EventStore, tree: string): Promise<ReadonlyMap<number, string>> {
  const notes = new Map<number, string>();
  for (const event of await readWhole(store, streams.seals(tree)))
    if (event.isReadable && event.is('log.sealed')) notes.set(event.data.size, event.data.note);
  return notes;
}

function lineOf({ index, leaf }: KeptLeaf, event: RecordedEvent | undefined, removed: LeafRanges): BundleLine {
  const hash = leaf.toString('base64');
  if (event === undefined || event.type === HASH_ALONE)
    return { kind: 'leaf', index, leaf: hash, reason: removed.has(index) ? 'truncated' : 'absent' };
  if (!isOpen(event)) return { kind: 'leaf', index, leaf: hash, reason: 'withheld' };
  const { id, stream, revision, type, rawData, rawMetadata } = event;
  const data = textOf(rawData);
  const metadata = textOf(rawMetadata);
  return {
    kind: 'event',
    index,
    leaf: hash,
    id,
    stream,
    revision: String(revision),
    type,
    ...(data === undefined ? { dataBytes: (rawData as Buffer).toString('base64') } : { data }),
    ...(metadata === undefined ? { metadataBytes: (rawMetadata as Buffer).toString('base64') } : { metadata }),
  };
}

/** `undefined` for bytes that are no text. */
function textOf(raw: string | Buffer): string | undefined {
  if (typeof raw === 'string') return raw;
  return isUtf8(raw) ? raw.toString() : undefined;
}
