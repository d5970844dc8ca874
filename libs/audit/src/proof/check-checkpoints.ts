import type { EventStore } from '#libs/event-store/src/event-store.js';
import { readWhole } from '#libs/event-store/src/reading.js';
import { eventIdOf } from '#libs/events/src/envelope.js';
import { streams } from '#libs/events/src/streams.js';
import { Rejected } from '#libs/kernel/src/errors.js';

import { type Checkpoint, parseCheckpoint } from './tree/checkpoint.js';
import { continues, inheritedOf, unsigned } from './tree/lineage.js';
import type { Difference } from './compare-leaves.js';
import type { GrowingRoot, Hash } from './tree/merkle.js';
import { openNote, type Verifier } from './tree/note.js';
import type { SigningKeys } from './signing-keys.js';

export type CheckpointKind =
  /** Signed by a key that is not one of this installation's. */
  | 'other_key'
  /** The signature is invalid, or there is none. */
  | 'bad_signature'
  /** The tree had another root when it was signed. */
  | 'other_root'
  /** It covers more events than there are: the end was cut off. */
  | 'cut'
  /** The log is as it was signed; the hashes that are kept beside it are not. */
  | 'kept_hashes';

export interface CheckpointFinding {
  readonly kind: CheckpointKind;
  /** Index of the first event that may be concerned. */
  readonly index: number;
  /** `evt_…` of the checkpoint in the log; absent for one that was kept elsewhere. */
  readonly eventId?: string;
  readonly detail: string;
}

interface Known {
  readonly size: number;
  readonly root: Hash;
  readonly eventId?: string;
}

interface Roots {
  kept?: Hash;
  log?: Hash;
}

/** The signed checkpoints of a tree, and the roots that its two computations have at their sizes. */
export class Checkpoints {
  private readonly known: Known[] = [];
  private readonly findings: CheckpointFinding[] = [];
  private readonly roots = new Map<number, Roots>();
  count = 0;

  private constructor(
    private readonly verifiers: readonly Verifier[],
    private readonly origin: string,
  ) {}

  /** @param elsewhere a note that was kept elsewhere. @throws Rejected where that is no checkpoint of this tree. */
  static async read(
    store: EventStore,
    keys: SigningKeys,
    tree: string,
    elsewhere: string | undefined,
  ): Promise<Checkpoints> {
    const checkpoints = new Checkpoints(await keys.verifiers(tree), await keys.origin(tree));
    const seals = (await readWhole(store, streams.seals(tree))).flatMap((event) =>
      event.isReadable && event.is('log.sealed') ? [{ note: event.data.note, id: eventIdOf(event.id) }] : [],
    );
    const inherited = checkpoints.inherited(seals.map(({ note }) => note));
    for (const [n, { note, id }] of seals.entries())
      if (n < inherited.length) checkpoints.know(inherited[n]!, id);
      else checkpoints.take(note, id);
    if (elsewhere === undefined) return checkpoints;
    const given = unsigned(elsewhere);
    // Who kept it has trusted its signature: the keys of the first installation are not here.
    if (given && inherited.some(({ origin }) => origin === given.origin)) checkpoints.know(given);
    else checkpoints.take(elsewhere);
    return checkpoints;
  }

  /** Called for each size of a tree that grows. */
  reached(side: keyof Roots, tree: GrowingRoot): void {
    const roots = this.roots.get(tree.size);
    if (roots) roots[side] = tree.root;
  }

  /** @param differences between the log and the kept hashes. @returns them and what is wrong with checkpoints, in order. */
  judge(differences: readonly Difference[], size: number): readonly (Difference | CheckpointFinding)[] {
    const findings: (Difference | CheckpointFinding)[] = [...this.findings];
    /** So many leaves are in the log as they were signed. */
    let proven = 0;
    let before = 0;
    for (const { size: signed, root, eventId } of this.known.toSorted((a, b) => a.size - b.size)) {
      const { kept, log } = this.roots.get(signed)!;
      const named = eventId !== undefined && { eventId };
      if (signed > size) {
        const detail = `The checkpoint covers ${signed} events, and ${size} are there: the end of the log was cut off.`;
        findings.push({ kind: 'cut', index: size, ...named, detail });
      } else if (log?.equals(root)) proven = signed;
      else if (!kept?.equals(root)) {
        const detail = `The root over ${signed} events is not the one that was signed: something from index ${before} to ${signed - 1} was changed, here and in the kept hashes.`;
        findings.push({ kind: 'other_root', index: before, ...named, detail });
      }
      before = signed;
    }
    for (const difference of differences) {
      if (difference.index >= proven) findings.push(difference);
      else {
        const detail = `The log is as it was signed; the hash that is kept for it is not (${difference.kind}). Rebuild the trees.`;
        const { eventId } = difference;
        findings.push({
          kind: 'kept_hashes',
          index: difference.index,
          ...(eventId !== undefined && { eventId }),
          detail,
        });
      }
    }
    return findings.sort((one, other) => one.index - other.index);
  }

  /** The checkpoints that came with a copied log, if the first of this installation names the last of them. */
  private inherited(notes: readonly string[]): readonly Checkpoint[] {
    const before = inheritedOf(notes, this.origin).filter((checkpoint) => checkpoint !== undefined);
    const first = notes[before.length];
    const last = before.at(-1);
    if (first === undefined || last === undefined) return [];
    try {
      return continues(parseCheckpoint(openNote(first, this.verifiers).text), last) ? before : [];
    } catch (error) {
      if (error instanceof Rejected) return [];
      throw error;
    }
  }

  private take(note: string, eventId?: string): void {
    const checkpoint = this.open(note, eventId);
    if (checkpoint) this.know(checkpoint, eventId);
    else this.count += 1;
  }

  private know({ size, root }: Checkpoint, eventId?: string): void {
    this.count += 1;
    this.known.push({ size, root, ...(eventId !== undefined && { eventId }) });
    if (!this.roots.has(size)) this.roots.set(size, {});
  }

  private open(note: string, eventId: string | undefined): Checkpoint | undefined {
    try {
      const checkpoint = parseCheckpoint(openNote(note, this.verifiers).text);
      if (checkpoint.origin === this.origin) return checkpoint;
      throw new Rejected('invalid', 'audit.unknown_signer', `The checkpoint is that of ${checkpoint.origin}.`);
    } catch (error) {
      if (!(error instanceof Rejected)) throw error;
      const isElsewhere = eventId === undefined;
      if (isElsewhere && error.code !== 'audit.unknown_signer' && error.code !== 'audit.bad_signature') throw error;
      const kind = error.code === 'audit.unknown_signer' ? 'other_key' : 'bad_signature';
      this.findings.push({ kind, index: 0, ...(eventId !== undefined && { eventId }), detail: error.message });
      return undefined;
    }
  }
}
