import { isObject } from '#libs/kernel/src/json.js';
import { parseJson } from '#libs/kernel/src/text/exact-json.js';

import { type Checkpoint, parseCheckpoint } from './checkpoint.js';
import { continues, unsigned } from './lineage.js';
import { leafHash } from './leaf.js';
import { GrowingRoot, type Hash, HASH_BYTES } from './merkle.js';
import { openNote, parseBase64, parseVerifierKey, type Verifier } from './note.js';

/**
 * A log as it is given to auditors: NDJSON that is verified without a server. The first line is a `bundle`, then comes a line
 * for each leaf in order, each checkpoint behind the leaves that it covers, and last the `end`.
 */
export type BundleLine =
  | {
      readonly kind: 'bundle';
      readonly format: typeof BUNDLE_FORMAT;
      readonly tree: string;
      readonly origin: string;
      /** Verification keys of all checkpoints. */
      readonly keys: readonly string[];
    }
  | EventLine
  | {
      /** An event whose bytes are not given: the reason says why. Its hash stands for it. */
      readonly kind: 'leaf';
      readonly index: number;
      /** Base64. */
      readonly leaf: string;
      readonly reason: 'absent' | 'truncated' | 'withheld';
    }
  | { readonly kind: 'checkpoint'; readonly note: string }
  | { readonly kind: 'end'; readonly size: number };

/** Data and metadata are the exact text, or base64 in `dataBytes` and `metadataBytes` where the bytes are no text. */
export interface EventLine {
  readonly kind: 'event';
  readonly index: number;
  readonly leaf: string;
  readonly id: string;
  readonly stream: string;
  readonly revision: string;
  readonly type: string;
  readonly data?: string;
  readonly dataBytes?: string;
  readonly metadata?: string;
  readonly metadataBytes?: string;
}

export const BUNDLE_FORMAT = 'millrace-bundle/v1';

export interface BundleResult {
  readonly ok: boolean;
  readonly tree: string;
  readonly origin: string;
  readonly events: number;
  /** Leaves that stand for events whose bytes are not in the bundle. */
  readonly hashesOnly: number;
  /** Of these, events that retention removed. */
  readonly truncated: number;
  readonly checkpoints: number;
  readonly size: number;
  readonly root: string;
  /** Events behind the last checkpoint, which no signature covers. */
  readonly unsealed: number;
  readonly problems: readonly BundleProblem[];
}

export interface BundleProblem {
  readonly line: number;
  readonly index?: number;
  /** UUID of the event. */
  readonly id?: string;
  readonly detail: string;
}

const MOST_PROBLEMS = 100;

/** Verifies line by line. */
export class BundleCheck {
  private readonly tree = new GrowingRoot();
  private readonly problems: BundleProblem[] = [];
  private head: Extract<BundleLine, { kind: 'bundle' }> | undefined;
  private line = 0;
  private events = 0;
  private hashesOnly = 0;
  private truncated = 0;
  private checkpoints = 0;
  private covered = 0;
  private inherited: Checkpoint | undefined;
  private ended = false;

  /** @param trusted keys that signed it, known from elsewhere. */
  constructor(private readonly trusted: readonly Verifier[]) {}

  take(text: string): void {
    this.line += 1;
    const line = lineOf(text);
    if (line === undefined) return this.problem('The line is not one of a bundle.');
    if (this.head === undefined && line.kind !== 'bundle')
      return this.problem(`The first line must be { "kind": "bundle", "format": "${BUNDLE_FORMAT}" }.`);
    if (this.ended) return this.problem('Nothing may follow the end.');
    if (line.kind === 'bundle') this.begin(line);
    else if (line.kind === 'checkpoint') this.checkpoint(line.note);
    else if (line.kind === 'end') this.end(line.size);
    else this.leaf(line);
  }

  result(): BundleResult {
    if (!this.ended) this.problem('The end is missing: the bundle was cut off.');
    if (this.checkpoints === 0) this.problem('No signed checkpoint covers the events.');
    const { size, root } = this.tree;
    return {
      ok: this.problems.length === 0,
      tree: this.head?.tree ?? '',
      origin: this.head?.origin ?? '',
      events: this.events,
      hashesOnly: this.hashesOnly,
      truncated: this.truncated,
      checkpoints: this.checkpoints,
      size,
      root: root.toString('base64'),
      unsealed: size - this.covered,
      problems: this.problems.slice(0, MOST_PROBLEMS),
    };
  }

  private begin(line: Extract<BundleLine, { kind: 'bundle' }>): void {
    if (this.head) return this.problem('The bundle begins twice.');
    this.head = line;
  }

  private leaf(line: EventLine | Extract<BundleLine, { kind: 'leaf' }>): void {
    const { index } = line;
    const name = line.kind === 'event' ? { index, id: line.id } : { index };
    const stated = hashOf(line.leaf);
    if (index !== this.tree.size) this.problem(`The event must have index ${this.tree.size}.`, name);
    const leaf = line.kind === 'event' ? leafOfLine(line) : stated;
    if (leaf === undefined || stated === undefined) return this.problem('The line is not one of a bundle.', name);
    if (!leaf.equals(stated)) this.problem('The event was changed: its hash is another.', name);
    if (line.kind === 'event') this.events += 1;
    else this.hashesOnly += 1;
    if (line.kind === 'leaf' && line.reason === 'truncated') this.truncated += 1;
    this.tree.add(leaf);
  }

  private checkpoint(note: string): void {
    try {
      const before = unsigned(note);
      if (this.checkpoints === 0 && before !== undefined && before.origin !== this.head!.origin)
        return this.inherit(before);
      const checkpoint = parseCheckpoint(openNote(note, this.trusted).text);
      const { origin, size, root } = checkpoint;
      if (this.checkpoints === 0 && this.inherited && !continues(checkpoint, this.inherited))
        this.problem(`The first checkpoint does not continue from the one of ${this.inherited.origin}.`);
      this.checkpoints += 1;
      if (origin !== this.head!.origin) this.problem(`The checkpoint is that of ${origin}.`);
      else if (size !== this.tree.size)
        this.problem(`The checkpoint covers ${size} events, and ${this.tree.size} come before it.`);
      else if (!this.tree.root.equals(root))
        this.problem(
          `The root over ${size} events is not the one that was signed: something from index ${this.covered} to ${size - 1} was changed, removed or added.`,
        );
      this.covered = Math.max(this.covered, size);
    } catch (error) {
      this.problem((error as Error).message);
    }
  }

  /** Of the installation that the log was copied from. The first checkpoint of this one signs that it continues from it. */
  private inherit(checkpoint: Checkpoint): void {
    this.inherited = checkpoint;
    const { origin, size, root } = checkpoint;
    if (size !== this.tree.size || !this.tree.root.equals(root))
      this.problem(`The root over ${size} events is not the one that ${origin} signed.`);
  }

  private end(size: number): void {
    this.ended = true;
    if (size !== this.tree.size) this.problem(`The bundle must have ${size} events; it has ${this.tree.size}.`);
  }

  private problem(detail: string, name: { readonly index?: number; readonly id?: string } = {}): void {
    this.problems.push({ line: this.line, ...name, detail });
  }
}

function hashOf(text: string): Hash | undefined {
  const bytes = parseBase64(text);
  return bytes?.length === HASH_BYTES ? bytes : undefined;
}

function lineOf(text: string): BundleLine | undefined {
  try {
    const line = parseJson(text);
    return isObject(line) && isBundleLine(line) ? (line as unknown as BundleLine) : undefined;
  } catch {
    return undefined;
  }
}

const areTexts = (...values: readonly unknown[]): boolean => values.every((value) => typeof value === 'string');

function isBundleLine(line: Readonly<Record<string, unknown>>): boolean {
  switch (line['kind']) {
    case 'bundle':
      return line['format'] === BUNDLE_FORMAT && areTexts(line['tree'], line['origin']) && Array.isArray(line['keys']);
    case 'event':
      return (
        Number.isSafeInteger(line['index']) &&
        areTexts(line['leaf'], line['id'], line['stream'], line['type']) &&
        areTexts(line['data'] ?? line['dataBytes'], line['metadata'] ?? line['metadataBytes']) &&
        /^\d{1,19}$/.test(String(line['revision']))
      );
    case 'leaf':
      return Number.isSafeInteger(line['index']) && areTexts(line['leaf']);
    case 'checkpoint':
      return areTexts(line['note']);
    case 'end':
      return Number.isSafeInteger(line['size']);
    default:
      return false;
  }
}

const leafOfLine = ({ id, stream, revision, type, data, dataBytes, metadata, metadataBytes }: EventLine): Hash =>
  leafHash({
    id,
    stream,
    revision: BigInt.asUintN(64, BigInt(revision)),
    type,
    rawData: data ?? Buffer.from(dataBytes!, 'base64'),
    rawMetadata: metadata ?? Buffer.from(metadataBytes!, 'base64'),
  });

/** The keys that the first line of a bundle names: they prove that the bundle is whole, not who made it. */
export function keysOfBundle(firstLine: string): readonly Verifier[] {
  const line = lineOf(firstLine);
  return line?.kind === 'bundle' ? line.keys.map(parseVerifierKey) : [];
}
