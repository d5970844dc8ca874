import { createPrivateKey, createPublicKey, hash, type KeyObject, sign, verify } from 'node:crypto';

import { Rejected } from '#libs/kernel/src/errors.js';

/**
 * Signed notes as C2SP defines them (c2sp.org/signed-note), with ed25519: a text that ends in a newline, an empty line, and
 * lines of signatures. A key is known by its name and the first four bytes of a hash over name and key.
 */

const ED25519 = 1;
const SPKI = Buffer.from('302a300506032b6570032100', 'hex');
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');
const SIGNATURE_BYTES = 64;
/** Verifiers accept at least 16. */
const MOST_SIGNATURES = 100;

export interface Verifier {
  readonly name: string;
  /** 8 hexadecimal digits. */
  readonly keyId: string;
  /** `name+id+key`: what is given to others. */
  readonly vkey: string;
  readonly publicKey: KeyObject;
}

export interface Signer {
  readonly verifier: Verifier;
  sign(text: string): Buffer;
}

export interface SignatureLine {
  readonly name: string;
  readonly keyId: string;
  readonly signature: Buffer;
}

export interface Note {
  readonly text: string;
  readonly signatures: readonly SignatureLine[];
}

export interface OpenNote extends Note {
  /** The keys whose signatures are valid: one or more. */
  readonly signedBy: readonly Verifier[];
}

const isKeyName = (name: string): boolean => name !== '' && !/[\s\p{Z}+]/u.test(name);

/** Strict: each sequence of bytes has one spelling. */
export function parseBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}

export function verifierOf(name: string, rawKey: Uint8Array): Verifier {
  const key = Buffer.concat([Buffer.from([ED25519]), rawKey]);
  const keyId = hash('sha256', Buffer.concat([Buffer.from(`${name}\n`), key]), 'buffer')
    .subarray(0, 4)
    .toString('hex');
  const publicKey = createPublicKey({ key: Buffer.concat([SPKI, rawKey]), format: 'der', type: 'spki' });
  return { name, keyId, vkey: `${name}+${keyId}+${key.toString('base64')}`, publicKey };
}

/** @throws Rejected `audit.bad_key` */
export function parseVerifierKey(vkey: string): Verifier {
  const [, name = '', keyId, text = ''] = /^([^+]*)\+([0-9a-f]{8})\+(.*)$/s.exec(vkey) ?? [];
  const key = parseBase64(text);
  if (isKeyName(name) && key?.length === 33 && key[0] === ED25519) {
    const verifier = verifierOf(name, key.subarray(1));
    if (verifier.keyId === keyId) return verifier;
  }
  throw new Rejected(
    'invalid',
    'audit.bad_key',
    'The verification key must be "name+id+key" with an ed25519 key, as "millrace audit key" prints it.',
  );
}

/** @param seed 32 bytes: the private key. */
export function signerOf(name: string, seed: Uint8Array): Signer {
  const key = createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: 'der', type: 'pkcs8' });
  const raw = createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(SPKI.length);
  return { verifier: verifierOf(name, raw), sign: (text) => sign(null, Buffer.from(text), key) };
}

/** @param text ends in a newline. */
export function signNote(text: string, signers: readonly Signer[]): string {
  const lines = signers.map(({ verifier: { name, keyId }, sign: signed }) => {
    const bytes = Buffer.concat([Buffer.from(keyId, 'hex'), signed(text)]);
    return `— ${name} ${bytes.toString('base64')}\n`;
  });
  return `${text}\n${lines.join('')}`;
}

/** @throws Rejected `audit.bad_note` */
export function parseNote(note: string): Note {
  const malformed = new Rejected(
    'invalid',
    'audit.bad_note',
    'The text is not a signed note: it must be a text, an empty line, and lines "— name signature".',
  );
  const end = note.lastIndexOf('\n\n');
  if (end < 0 || !note.endsWith('\n') || /[\0-\x09\x0b-\x1f]/.test(note) || Buffer.from(note).toString() !== note)
    throw malformed;
  const lines = note.slice(end + 2, -1).split('\n');
  if (lines.length > MOST_SIGNATURES) throw malformed;
  const signatures = lines.map((line): SignatureLine => {
    const [, name = '', text = ''] = /^— (\S+) (\S+)$/.exec(line) ?? [];
    const bytes = parseBase64(text);
    if (!isKeyName(name) || bytes === undefined || bytes.length < 5) throw malformed;
    return { name, keyId: bytes.subarray(0, 4).toString('hex'), signature: bytes.subarray(4) };
  });
  return { text: note.slice(0, end + 1), signatures };
}

/**
 * Checks the signatures of the keys that are given; those of others are passed over.
 * @throws Rejected `audit.bad_note`, `audit.bad_signature`, or `audit.unknown_signer` where none of the keys has signed.
 */
export function openNote(note: string, verifiers: readonly Verifier[]): OpenNote {
  const { text, signatures } = parseNote(note);
  const signedBy: Verifier[] = [];
  for (const { name, keyId, signature } of signatures) {
    const verifier = verifiers.find((one) => one.name === name && one.keyId === keyId);
    if (verifier === undefined || signedBy.includes(verifier)) continue;
    const isValid =
      signature.length === SIGNATURE_BYTES && verify(null, Buffer.from(text), verifier.publicKey, signature);
    if (!isValid)
      throw new Rejected(
        'invalid',
        'audit.bad_signature',
        `The signature of ${name} (key ${keyId}) is invalid: the text was changed after it was signed, or another key signed it.`,
      );
    signedBy.push(verifier);
  }
  if (signedBy.length > 0) return { text, signatures, signedBy };
  const known = verifiers.map(({ name, keyId }) => `${name} (${keyId})`).join(', ');
  const found = signatures.map(({ name, keyId }) => `${name} (${keyId})`).join(', ');
  throw new Rejected(
    'invalid',
    'audit.unknown_signer',
    `The note is signed by another key: ${found}. Expected: ${known || 'none is known'}.`,
  );
}

/** The notes of a text that holds several, one after the other. */
export function notesIn(text: string): readonly string[] {
  const notes: string[] = [];
  let note = '';
  const lines = text.split('\n');
  for (const [n, line] of lines.entries()) {
    if (note === '' && line === '') continue;
    note += `${line}\n`;
    if (!line.startsWith('— ') || lines[n + 1]?.startsWith('— ') === true) continue;
    notes.push(note);
    note = '';
  }
  return notes;
}
