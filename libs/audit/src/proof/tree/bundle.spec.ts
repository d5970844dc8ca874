import { describe, expect, it } from '@jest/globals';

import { BundleCheck, type EventLine, keysOfBundle } from './bundle.js';
import { checkpointText } from './checkpoint.js';
import { leafHash } from './leaf.js';
import { rootOf } from './merkle.js';
import { notesIn, signerOf, signNote } from './note.js';

const origin = 'millrace-0011223344556677/log';
const signer = signerOf(origin, Buffer.alloc(32, 3));

const eventLine = (index: number): EventLine => {
  const id = `01932f1d-6a3c-7c1e-8f00-${String(index).padStart(12, '0')}`;
  const event = { id, stream: `s-${index}`, revision: '0', type: 't', data: `{"n":${index}}`, metadata: '{}' };
  const leaf = leafHash({ ...event, revision: 0n, rawData: event.data, rawMetadata: event.metadata });
  return { kind: 'event', index, leaf: leaf.toString('base64'), ...event };
};
const events = Array.from({ length: 10 }, (_, index) => eventLine(index));
const note = (size: number, by = signer): string => {
  const root = rootOf(events.slice(0, size).map(({ leaf }) => Buffer.from(leaf, 'base64')));
  return signNote(checkpointText({ origin, size, root, extensions: [] }), [by]);
};
const checkpoint = (size: number, by = signer) => ({ kind: 'checkpoint', note: note(size, by) });
const head = { kind: 'bundle', format: 'millrace-bundle/v1', tree: 'log', origin, keys: [signer.verifier.vkey] };
const whole: readonly (object | string)[] = [
  head,
  ...events.slice(0, 6),
  checkpoint(6),
  ...events.slice(6),
  checkpoint(10),
  { kind: 'end', size: 10 },
];

function checked(lines: readonly (object | string)[], trusted = [signer.verifier]) {
  const check = new BundleCheck(trusted);
  for (const line of lines) check.take(typeof line === 'string' ? line : JSON.stringify(line));
  return check.result();
}

describe('a bundle', () => {
  it('is whole as it was exported', () => {
    expect(checked(whole)).toMatchObject({ ok: true, events: 10, checkpoints: 2, size: 10, unsealed: 0, problems: [] });
    expect(keysOfBundle(JSON.stringify(head)).map(({ vkey }) => vkey)).toEqual([signer.verifier.vkey]);
  });

  it('is whole with the hash of an event in place of the event', () => {
    const { index, leaf } = events[3]!;
    const lines = whole.with(4, { kind: 'leaf', index, leaf, reason: 'withheld' });
    expect(checked(lines)).toMatchObject({ ok: true, events: 9, hashesOnly: 1 });
  });

  it('is whole with bytes that are no text', () => {
    const bytes = Buffer.from([0xff, 0x00]);
    const { data: _, ...rest } = events[0]!;
    const leaf = leafHash({ ...rest, revision: 0n, rawData: bytes, rawMetadata: rest.metadata! });
    const line = { ...rest, leaf: leaf.toString('base64'), dataBytes: bytes.toString('base64') };
    const text = checkpointText({ origin, size: 1, root: leaf, extensions: [] });
    const lines = [head, line, { kind: 'checkpoint', note: signNote(text, [signer]) }, { kind: 'end', size: 1 }];
    expect(checked(lines)).toMatchObject({ ok: true });
  });

  const changed = { ...events[3]!, data: '{"n":33}' };
  const replaced = {
    ...changed,
    leaf: leafHash({ ...changed, revision: 0n, rawData: changed.data, rawMetadata: '{}' }).toString('base64'),
  };
  const impostor = signerOf(origin, Buffer.alloc(32, 4));
  it.each<[string, readonly (object | string)[], string]>([
    ['an event that was changed', whole.with(4, changed), 'line 5: The event was changed'],
    ['one that was changed with its hash', whole.with(4, replaced), 'line 8: The root over 6 events is not'],
    ['one that is missing', whole.toSpliced(4, 1), 'line 5: The event must have index 3'],
    ['one that is there twice', whole.toSpliced(4, 0, whole[4]!), 'line 6: The event must have index 4'],
    ['a tail that was cut', whole.slice(0, 6), 'The end is missing'],
    [
      'a checkpoint of another key',
      whole.with(7, checkpoint(6, impostor)),
      'line 8: The note is signed by another key',
    ],
    ['a checkpoint of another size', whole.with(7, checkpoint(5)), 'covers 5 events, and 6 come before it'],
    [
      'no checkpoint',
      whole.filter((line) => typeof line === 'string' || !('note' in line)),
      'No signed checkpoint covers the events',
    ],
    ['a line that is none', whole.with(4, 'nonsense'), 'line 5: The line is not one of a bundle'],
    ['a line without its fields', whole.with(4, { kind: 'event', index: 3 }), 'line 5: The line is not one'],
    ['no beginning', whole.slice(1), 'line 1: The first line must be'],
    ['something behind the end', [...whole, events[0]!], 'Nothing may follow the end'],
    ['two beginnings', whole.toSpliced(1, 0, head), 'begins twice'],
    ['another number of events', whole.with(-1, { kind: 'end', size: 11 }), 'must have 11 events; it has 10'],
    ['nothing', [], 'The end is missing'],
  ])('names %s', (_, lines, problem) => {
    const { ok, problems } = checked(lines);
    expect(ok).toBe(false);
    expect(problems.map(({ line, detail }) => `line ${line}: ${detail}`).join('\n')).toContain(problem);
  });

  it('is verified with the keys that are trusted, not with those that it names', () => {
    const { ok, problems } = checked(whole, [impostor.verifier]);
    expect(ok).toBe(false);
    expect(problems[0]!.detail).toContain('signed by another key');
  });
});

it('a file of checkpoints gives each of them', () => {
  const notes = [note(6), signNote('a\n\nb\n', [signer, signerOf('other', Buffer.alloc(32, 9))]), note(10)];
  expect(notesIn(notes.map((one) => `${one}\n`).join(''))).toEqual(notes);
  expect(notesIn(notes.join(''))).toEqual(notes);
  expect(notesIn('')).toEqual([]);
});
