import { hash } from 'node:crypto';

import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { checkpointText, parseCheckpoint, parseProof, proofText } from './checkpoint.js';
import { leafBytes, leafHash } from './leaf.js';
import { hashLeaf } from './merkle.js';
import { openNote, parseNote, parseVerifierKey, signerOf, signNote } from './note.js';

/** The example of golang.org/x/mod/sumdb/note, which made the format. */
const VKEY = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';
const SEED = Buffer.from('AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz', 'base64').subarray(1);
const TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const NOTE = `${TEXT}\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n`;
const peter = parseVerifierKey(VKEY);

const codeOf = (work: () => unknown): unknown => {
  try {
    work();
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
  return 'nothing was thrown';
};

describe('a signed note', () => {
  it('is that of the reference implementation, byte for byte', () => {
    const signer = signerOf('PeterNeumann', SEED);
    expect(signer.verifier.vkey).toBe(VKEY);
    expect(signNote(TEXT, [signer])).toBe(NOTE);
    expect(openNote(NOTE, [peter])).toMatchObject({ text: TEXT, signedBy: [{ name: 'PeterNeumann' }] });
  });

  it('of the C2SP specification is read', () => {
    const note =
      'Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n\n' +
      '— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n';
    expect(parseNote(note)).toMatchObject({
      text: 'Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n',
      signatures: [{ name: 'quasimodo.example/salvatore', keyId: '367ba04b' }],
    });
  });

  it('keeps the signatures of unknown keys and does not rely on them', () => {
    const other = signerOf('other.example', Buffer.alloc(32, 7));
    const both = signNote(TEXT, [other, signerOf('PeterNeumann', SEED)]);
    expect(openNote(both, [peter]).signedBy.map(({ name }) => name)).toEqual(['PeterNeumann']);
    expect(openNote(both, [peter, other.verifier]).signedBy).toHaveLength(2);
    expect(codeOf(() => openNote(signNote(TEXT, [other]), [peter]))).toBe('audit.unknown_signer');
    // Another key of the same name.
    const impostor = signerOf('PeterNeumann', Buffer.alloc(32, 9));
    expect(codeOf(() => openNote(signNote(TEXT, [impostor]), [peter]))).toBe('audit.unknown_signer');
  });

  it('does not open when any character of its text or signature is changed', () => {
    const signer = signerOf('PeterNeumann', SEED);
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.nat(), (words, at) => {
        const text = `${words.replaceAll(/[\0-\x1f]/g, ' ')}.\n`;
        const note = signNote(text, [signer]);
        expect(openNote(note, [peter]).text).toBe(text);
        const where = at % note.length;
        const other = note[where] === 'A' ? 'B' : 'A';
        const changed = note.slice(0, where) + other + note.slice(where + 1);
        expect(codeOf(() => openNote(changed, [peter]))).toMatch(/^audit\./);
      }),
    );
  });

  it.each([
    ['nothing', ''],
    ['no signature', TEXT],
    ['no empty line', `${TEXT}— PeterNeumann x08g\n`],
    ['no newline at the end', NOTE.slice(0, -1)],
    ['a control character', NOTE.replace('you', 'y\tou')],
    ['half of a surrogate pair', NOTE.replace('you', 'y\ud800ou')],
    ['a signature that is not base64', NOTE.replace('x08go', 'x08g!')],
    ['a hyphen for the dash', NOTE.replace('—', '-')],
    ['too many signatures', `${TEXT}\n${NOTE.slice(TEXT.length + 1).repeat(101)}`],
  ])('with %s is refused', (_, note) => {
    expect(codeOf(() => openNote(note, [peter]))).toBe('audit.bad_note');
  });

  it('is verified with a whole key alone', () => {
    for (let cut = 1; cut < VKEY.length; cut++) {
      expect(codeOf(() => parseVerifierKey(VKEY.slice(cut)))).toBe('audit.bad_key');
      expect(codeOf(() => parseVerifierKey(VKEY.slice(0, -cut)))).toBe('audit.bad_key');
    }
    const wrongLength = 'PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==';
    const wrongAlgorithm = 'PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';
    for (const key of [wrongLength, wrongAlgorithm]) expect(codeOf(() => parseVerifierKey(key))).toBe('audit.bad_key');
  });
});

describe('a checkpoint', () => {
  const text = 'example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n';

  it('of the C2SP specification is read, and written the same', () => {
    const checkpoint = parseCheckpoint(text);
    expect(checkpoint).toMatchObject({ origin: 'example.com/behind-the-sofa', size: 20_852_163, extensions: [] });
    expect(checkpointText(checkpoint)).toBe(text);
    expect(parseCheckpoint(`${text}one more\n`).extensions).toEqual(['one more']);
  });

  it.each([
    ['no root', 'example.com\n1\n'],
    ['no origin', text.replace('example.com/behind-the-sofa', '')],
    ['a leading zero', text.replace('20852163', '020852163')],
    ['a sign', text.replace('20852163', '+20852163')],
    ['a root of another length', text.replace('CsUYapGGPo4d', '')],
    ['an empty extension', `${text}\n`],
    ['no newline at the end', text.slice(0, -1)],
  ])('with %s is refused', (_, wrong) => {
    expect(codeOf(() => parseCheckpoint(wrong))).toBe('audit.bad_checkpoint');
  });
});

describe('a proof', () => {
  const [one, two] = ['hash1', 'hash2'].map((text) => hash('sha256', text, 'buffer'));
  const text = `c2sp.org/tlog-proof@v1\nindex 5\n${one!.toString('base64')}\n${two!.toString('base64')}\n\ntest checkpoint\n`;

  it('is the text of the reference implementation', () => {
    const proof = { index: 5, hashes: [one!, two!], checkpoint: 'test checkpoint\n' };
    expect(proofText(proof)).toBe(text);
    expect(parseProof(text)).toEqual(proof);
    expect(parseProof(text.replace('index', 'extra ZXh0cmE=\nindex'))).toEqual(proof);
    expect(proofText({ index: 0, hashes: [], checkpoint: 'c\n' })).toBe('c2sp.org/tlog-proof@v1\nindex 0\n\nc\n');
    expect(parseProof('c2sp.org/tlog-proof@v1\nindex 0\n\nc\n').hashes).toEqual([]);
  });

  it.each([
    'not a proof at all',
    'c2sp.org/tlog-proof@v1\n',
    text.replace('@v1', '@v2'),
    text.replace('index 5', 'index 05'),
    text.replace('index 5', 'index five'),
    text.replace('index', 'extra !!\nindex'),
    text.replace(one!.toString('base64'), 'AAAA'),
  ])('is refused where it is something else', (wrong) => {
    expect(codeOf(() => parseProof(wrong))).toBe('audit.bad_proof');
  });
});

describe('the leaf of an event', () => {
  const event = {
    id: '01932f1d-6a3c-7c1e-8f00-2b1d9a7c5e01',
    stream: 'inbound-é',
    revision: 258n,
    type: 'git.push',
    rawData: '{"a":"ü"}',
    rawMetadata: '{}',
  };

  it('holds each field with its length, as the page for auditors says', () => {
    const field = (bytes: Buffer): Buffer => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(bytes.length);
      return Buffer.concat([length, bytes]);
    };
    const expected = Buffer.concat([
      Buffer.from('millrace-event/v1\n'),
      field(Buffer.from('01932f1d6a3c7c1e8f002b1d9a7c5e01', 'hex')),
      field(Buffer.from('inbound-é')),
      field(Buffer.from('0000000000000102', 'hex')),
      field(Buffer.from('git.push')),
      field(Buffer.from('{"a":"ü"}')),
      field(Buffer.from('{}')),
    ]);
    expect(leafBytes(event)).toEqual(expected);
    expect(leafHash(event)).toEqual(hashLeaf(expected));
  });

  it('is the same for bytes as for text, and of any size', () => {
    expect(leafHash({ ...event, rawData: Buffer.from(event.rawData) })).toEqual(leafHash(event));
    const large = { ...event, rawData: 'ü'.repeat(100_000) };
    expect(leafHash(large)).toEqual(hashLeaf(leafBytes(large)));
    expect(leafHash(event)).toEqual(hashLeaf(leafBytes(event)));
  });

  it('is another for every other event', () => {
    const others = [
      { ...event, id: '01932f1d-6a3c-7c1e-8f00-2b1d9a7c5e02' },
      { ...event, stream: 'inbound-e' },
      { ...event, revision: 259n },
      { ...event, type: 'git.pushed' },
      { ...event, rawData: '{"a":"u"}' },
      { ...event, rawMetadata: '{"b":1}' },
      { ...event, type: 'git.pus', rawData: `h${event.rawData}` },
    ];
    expect(new Set([event, ...others].map((one) => leafHash(one).toString('hex'))).size).toBe(others.length + 1);
  });
});
