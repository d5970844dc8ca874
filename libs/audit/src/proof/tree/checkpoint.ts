import { Rejected } from '#libs/kernel/src/errors.js';

import { type Hash, HASH_BYTES } from './merkle.js';
import { parseBase64 } from './note.js';

/** The texts of a log: its checkpoints (c2sp.org/tlog-checkpoint) and proofs of inclusion (c2sp.org/tlog-proof). */
export interface Checkpoint {
  /** Names the tree. */
  readonly origin: string;
  readonly size: number;
  readonly root: Hash;
  /** Lines after the root. */
  readonly extensions: readonly string[];
}

/** The extension line by which the old key names the one that follows it. */
export const NEXT_KEY = 'millrace-next-key ';

export const checkpointText = ({ origin, size, root, extensions }: Checkpoint): string =>
  [origin, size, root.toString('base64'), ...extensions].map((line) => `${line}\n`).join('');

/** Decimal without leading zeroes. */
const wholeNumber = (text: string): number | undefined =>
  /^(0|[1-9]\d{0,15})$/.test(text) && Number.isSafeInteger(Number(text)) ? Number(text) : undefined;

function parseHash(text: string): Hash | undefined {
  const bytes = parseBase64(text);
  return bytes?.length === HASH_BYTES ? bytes : undefined;
}

/**
 * @param text of a note whose signature was verified.
 * @throws Rejected `audit.bad_checkpoint`
 */
export function parseCheckpoint(text: string): Checkpoint {
  const [origin = '', sizeText = '', rootText = '', ...extensions] = text.split('\n').slice(0, -1);
  const size = wholeNumber(sizeText);
  const root = parseHash(rootText);
  const isWhole = text.endsWith('\n') && origin !== '' && extensions.every((line) => line !== '');
  if (isWhole && size !== undefined && root !== undefined) return { origin, size, root, extensions };
  throw new Rejected(
    'invalid',
    'audit.bad_checkpoint',
    'The note is not a checkpoint: its lines must be the origin, the size of the tree and the root in base64.',
  );
}

export interface InclusionProof {
  readonly index: number;
  readonly hashes: readonly Hash[];
  /** The signed note. */
  readonly checkpoint: string;
}

const PROOF = 'c2sp.org/tlog-proof@v1';

export const proofText = ({ index, hashes, checkpoint }: InclusionProof): string =>
  `${[PROOF, `index ${index}`, ...hashes.map((hash) => hash.toString('base64'))].join('\n')}\n\n${checkpoint}`;

/** @throws Rejected `audit.bad_proof` */
export function parseProof(text: string): InclusionProof {
  const end = text.indexOf('\n\n');
  const [first, ...lines] = text.slice(0, Math.max(end, 0)).split('\n');
  if (lines[0]?.startsWith('extra ') && parseBase64(lines[0].slice('extra '.length)) !== undefined) lines.shift();
  const [indexLine = '', ...hashLines] = lines;
  const index = indexLine.startsWith('index ') ? wholeNumber(indexLine.slice('index '.length)) : undefined;
  const hashes = hashLines.map(parseHash);
  const isWhole = hashes.every((hash) => hash !== undefined) && hashes.length < 64;
  if (first === PROOF && index !== undefined && isWhole) return { index, hashes, checkpoint: text.slice(end + 2) };
  throw new Rejected(
    'invalid',
    'audit.bad_proof',
    `The text is not a proof: it must be "${PROOF}", "index N", the hashes in base64, an empty line and the checkpoint.`,
  );
}
