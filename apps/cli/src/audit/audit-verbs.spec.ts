import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { checkpointText, proofText } from '#libs/audit/src/proof/tree/checkpoint.js';
import { hashLeaf, hashNode } from '#libs/audit/src/proof/tree/merkle.js';
import { signerOf, signNote } from '#libs/audit/src/proof/tree/note.js';

import { FakeShell } from '../../testing/fake-shell.js';
import { auditVerbs } from './audit-verbs.js';

const origin = 'millrace-0011223344556677/log';
const signer = signerOf(origin, Buffer.alloc(32, 3));
const impostor = signerOf(origin, Buffer.alloc(32, 4));
const { vkey } = signer.verifier;
const bytes = [Buffer.from('one'), Buffer.from('two')];
const [one, two] = bytes.map(hashLeaf);
const heads = [
  { size: 1, root: one! },
  { size: 2, root: hashNode(one!, two!) },
];
const [first, second] = heads.map((head) => signNote(checkpointText({ origin, extensions: [], ...head }), [signer]));
const keys = { origin, keys: [vkey] };
const KEYS = { 'GET /api/v1/audit/keys': keys };

let folder: string;
beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), 'millrace-audit-'))));
afterEach(() => rm(folder, { recursive: true, force: true }));
async function file(name: string, text: string): Promise<string> {
  await writeFile(join(folder, name), text);
  return join(folder, name);
}

const verb = (name: string, shell: FakeShell, args: readonly string[] = [], given = {}) =>
  auditVerbs.find(({ usage }) => usage.split(' ')[0] === name)!.run(shell, args, given);

const verification = {
  ...{ ok: true, tree: 'log', origin, size: 2, root: 'AAAA', truncated: 0, checkpoints: 1, findings: [], more: 0 },
};
const lines = (...all: readonly object[]) => all.map((line) => `${JSON.stringify(line)}\n`).join('');

describe('millrace audit verify', () => {
  it('says that nothing was changed, and shows how far it is', async () => {
    const answer = lines({ progress: { done: 1, of: 2 } }, { result: verification });
    const shell = new FakeShell({ 'GET /api/v1/audit/verify': answer });
    expect(await verb('verify', shell)).toBe(0);
    expect(shell.bars).toEqual(['1 of 2 events', undefined]);
    expect(shell.out).toEqual([`Nothing was changed: 2 events, 1 checkpoints, ${origin}`, 'root AAAA']);
  });

  it('names what was changed, and exits with 1', async () => {
    const findings = [
      {
        kind: 'changed',
        index: 4,
        position: '5',
        eventId: 'evt_1',
        type: 'git.push',
        detail: 'The event was changed.',
      },
      { kind: 'cut', index: 9, detail: 'The end was cut off.' },
    ];
    const result = { ...verification, ok: false, findings, more: 3, truncated: 2 };
    const shell = new FakeShell({ 'GET /api/v1/audit/verify?tree=log': lines({ result }) });
    expect(await verb('verify', shell, [], { tree: 'log' })).toBe(1);
    expect(shell.out).toEqual([
      'changed: evt_1 git.push (index 4, position 5). The event was changed.',
      'cut: checkpoint (index 9). The end was cut off.',
      '… and 3 more.',
      `THE LOG WAS CHANGED: 2 events, 1 checkpoints, ${origin}`,
      'root AAAA',
      '2 events were removed by retention; their hashes are in the tree.',
    ]);
  });

  it('sends the checkpoint over the most events of a file', async () => {
    const kept = await file('checkpoints.txt', `${second!}\n${first!}\n`);
    const sent = Buffer.from(second!).toString('base64url');
    const answers = { ...KEYS, [`GET /api/v1/audit/verify?checkpoint=${sent}`]: lines({ result: verification }) };
    expect(await verb('verify', new FakeShell(answers), [], { checkpoint: kept })).toBe(0);
    expect(await verb('verify', new FakeShell(answers), [], { checkpoint: kept, key: [vkey] })).toBe(0);
    const other = { checkpoint: kept, key: [impostor.verifier.vkey] };
    await expect(verb('verify', new FakeShell(answers), [], other)).rejects.toThrow('signed by another key');
    const none = { checkpoint: await file('empty.txt', '') };
    await expect(verb('verify', new FakeShell(KEYS), [], none)).rejects.toThrow('holds no checkpoint');
    const missing = { checkpoint: join(folder, 'missing.txt') };
    await expect(verb('verify', new FakeShell(KEYS), [], missing)).rejects.toThrow('cannot be read: ENOENT');
  });

  it('does not take an answer that ends early for a result', async () => {
    const shell = new FakeShell({ 'GET /api/v1/audit/verify': lines({ progress: { done: 1, of: 2 } }) });
    await expect(verb('verify', shell)).rejects.toMatchObject({ code: 'audit.cut_off' });
  });

  it('verifies a bundle without a server', async () => {
    const bundle = lines(
      { kind: 'bundle', format: 'millrace-bundle/v1', tree: 'log', origin, keys: [vkey] },
      { kind: 'leaf', index: 0, leaf: one!.toString('base64'), reason: 'absent' },
      { kind: 'checkpoint', note: first },
      { kind: 'end', size: 1 },
    );
    const path = await file('bundle.ndjson', bundle);
    const shell = new FakeShell();
    expect(await verb('verify', shell, [path])).toBe(0);
    expect(shell.out[0]).toBe(`The bundle is whole: 1 events, 1 checkpoints, ${origin}`);
    expect(shell.notes.join()).toContain('--key');
    expect(await verb('verify', new FakeShell(), [path], { key: [vkey] })).toBe(0);
    const doubtful = new FakeShell();
    expect(await verb('verify', doubtful, [path], { key: [impostor.verifier.vkey] })).toBe(1);
    expect(doubtful.out[0]).toContain('line 3: The note is signed by another key');
    const cut = await file('cut.ndjson', bundle.slice(0, -20));
    expect(await verb('verify', new FakeShell(), [cut])).toBe(1);
    await expect(verb('verify', new FakeShell(), [join(folder, 'none')])).rejects.toThrow('cannot be read: ENOENT');
  });
});

describe('millrace audit prove', () => {
  const proof = proofText({ index: 1, hashes: [one!], checkpoint: second! });
  const answer = { leaf: two!.toString('base64'), bytes: bytes[1]!.toString('base64'), proof };
  const path = 'GET /api/v1/audit/proofs/evt_2';

  it('checks the proof, and prints it or writes it', async () => {
    const shell = new FakeShell({ ...KEYS, [path]: answer });
    expect(await verb('prove', shell, ['evt_2'])).toBe(0);
    expect(shell.out).toEqual([proof.trimEnd()]);
    const output = join(folder, 'event.tlog-proof');
    expect(await verb('prove', new FakeShell({ [path]: answer }), ['evt_2'], { output, key: [vkey] })).toBe(0);
    expect(await readFile(output, 'utf8')).toBe(proof);
  });

  it('does not believe a server whose event is another', async () => {
    const changed = { ...answer, bytes: Buffer.from('twO').toString('base64') };
    const shell = new FakeShell({ ...KEYS, [path]: changed });
    expect(await verb('prove', shell, ['evt_2'])).toBe(1);
    expect(shell.out[0]).toContain('The event is not as it was recorded');
  });
});

describe('millrace audit consistency', () => {
  const path = 'GET /api/v1/audit/consistency?from=1&to=2';

  it('compares two checkpoints, whichever is given first', async () => {
    const files = [await file('new.txt', second!), await file('old.txt', first!)];
    const shell = new FakeShell({ ...KEYS, [path]: { hashes: [two!.toString('base64')] } });
    expect(await verb('consistency', shell, files)).toBe(0);
    expect(shell.out).toEqual(['Consistent: the log of 2 events begins with the 1 of the older checkpoint.']);
    const wrong = new FakeShell({ ...KEYS, [path]: { hashes: [one!.toString('base64')] } });
    expect(await verb('consistency', wrong, files)).toBe(1);
    expect(wrong.out[0]).toContain('NOT CONSISTENT');
  });
});

describe('millrace audit diff', () => {
  const change = {
    ...{ position: '9', eventId: 'evt_1', type: 'rule.updated', at: '2026-11-20T12:00:00.000Z' },
    ...{ actor: 'token/tok_1', actorName: 'ci' },
    fields: [
      { pointer: '/name', before: 'one', after: 'two' },
      { pointer: '/throttle', before: { limit: 1 } },
      { pointer: '/once', after: 'x'.repeat(80) },
    ],
  };
  const data = [
    { kind: 'rules', key: 'rul_1', name: 'two', change: 'changed', fields: change.fields, changes: [change] },
    {
      ...{ kind: 'secrets', key: 'KEY', name: 'KEY', change: 'passed', fields: [] },
      changes: [{ ...change, type: 'secret.set', actor: 'millrace', actorName: null, fields: [] }],
    },
  ];

  it('prints each thing, each change of it and who did it', async () => {
    const shell = new FakeShell({ 'GET /api/v1/as-of/diff?from=3&to=9&kinds=rules': { from: '3', to: '9', data } });
    await verb('diff', shell, ['3', '9'], { kinds: 'rules' });
    expect(shell.out).toEqual([
      'changed rules rul_1 two',
      '  2026-11-20T12:00:00.000Z rule.updated by "ci" (token/tok_1), evt_1',
      '    /name: "one" → "two"',
      '    /throttle: {"limit":1} was removed',
      `    /once: "${'x'.repeat(58)}…`,
      'created and removed secrets KEY',
      '  2026-11-20T12:00:00.000Z secret.set by millrace, evt_1',
    ]);
  });

  it('says that nothing changed', async () => {
    const shell = new FakeShell({ 'GET /api/v1/as-of/diff?from=3': { from: '3', to: '9', data: [] } });
    await verb('diff', shell, ['3']);
    expect(shell.out).toEqual(['Nothing changed between positions 3 and 9.']);
  });
});

it('prints and rotates keys, and prints the newest checkpoint', async () => {
  const answers = { ...KEYS, 'POST /api/v1/audit/keys': keys, 'GET /api/v1/audit/checkpoint': { note: second } };
  const shell = new FakeShell(answers);
  for (const name of ['key', 'rotate-key', 'checkpoint']) await verb(name, shell);
  expect(shell.out).toEqual([vkey, vkey, second!.trimEnd()]);
});

it('exports to a file, or to the standard output', async () => {
  const shell = new FakeShell({ 'GET /api/v1/audit/export': lines({ kind: 'end', size: 0 }) });
  await verb('export', shell);
  expect(shell.out).toEqual(['{"kind":"end","size":0}']);
  const output = join(folder, 'bundle.ndjson');
  await verb('export', shell, [], { output });
  expect(await readFile(output, 'utf8')).toBe('{"kind":"end","size":0}\n');
});
