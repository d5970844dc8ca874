import { type Checkpoint, parseCheckpoint } from './checkpoint.js';
import { parseNote } from './note.js';

/**
 * A log that was copied to another installation has the checkpoints of the first one, and is signed with other keys from then
 * on. The first checkpoint of the new installation names the last one of the old in an extension line: `origin size root`.
 * Under that signature the roots of the old ones are trusted, whose keys the new installation does not have.
 */
const CONTINUES = 'millrace-continues ';

export const continuesLine = ({ origin, size, root }: Omit<Checkpoint, 'extensions'>): string =>
  `${CONTINUES}${origin} ${size} ${root.toString('base64')}`;

/** Whether `own`, whose signature was verified, names `last` as the one that it continues from. */
export const continues = (own: Checkpoint, last: Checkpoint): boolean => own.extensions.includes(continuesLine(last));

/** What a note says, whoever signed it; `undefined` if it is no checkpoint. */
export function unsigned(note: string): Checkpoint | undefined {
  try {
    return parseCheckpoint(parseNote(note).text);
  } catch {
    return undefined;
  }
}

/** The checkpoints before the first of `origin`: those of the installation that a log was copied from, if it was. */
export function inheritedOf(notes: readonly string[], origin: string): readonly (Checkpoint | undefined)[] {
  const read = notes.map(unsigned);
  const first = read.findIndex((checkpoint) => checkpoint?.origin === origin);
  return read.slice(0, first < 0 ? read.length : first);
}
