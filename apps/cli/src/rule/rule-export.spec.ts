import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { FakeShell } from '../../testing/fake-shell.js';
import { textFiles, wantedOf } from '../apply/apply-files.js';
import { documents, exportRules } from './rule-export.js';
import { slugOf } from './rule-folder.js';

const doc = (id: string, name: string, more = '') =>
  `# rul_${id}\nname: ${JSON.stringify(name)}\nenabled: true\neventType: git.push\n${more}`;
const stream = (...all: string[]) => all.map((one) => `---\n${one}`).join('');
const RULES = 'GET /api/v1/rules';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-export-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const into = async (answers: Record<string, unknown>, given: readonly string[] = []): Promise<FakeShell> => {
  const shell = new FakeShell(answers);
  await exportRules(shell, given, { output: join(folder, 'rules') });
  return shell;
};
const files = async () => (await readdir(join(folder, 'rules'))).sort();
const content = (name: string) => readFile(join(folder, 'rules', name), 'utf8');

describe('the documents of a stream', () => {
  it.each([1, 2, 3, 7, 1_000])('are parted as they come, %d bytes at a time', async (size) => {
    const docs = [doc('1', 'é😀', 'description: |+\n  a\n  ---\n\n\n'), doc('2', 'b'), doc('3', 'c', 'x: |+\n  a\n\n')];
    const bytes = Buffer.from(stream(...docs));
    const found: string[] = [];
    const chunks = (async function* () {
      for (let at = 0; at < bytes.length; at += size) yield await Promise.resolve(bytes.subarray(at, at + size));
    })();
    for await (const text of documents(chunks)) found.push(text);
    expect(found).toEqual(docs);
  });
});

describe('rules on the standard output', () => {
  it('are a stream of documents, to the last end of a line', async () => {
    const docs = [doc('1', 'a'), doc('2', 'b', 'description: |+\n  text\n\n\n')];
    const shell = new FakeShell({ [RULES]: stream(...docs) });
    await exportRules(shell, [], {});
    expect(shell.asked).toEqual([{ method: 'GET', path: '/api/v1/rules', body: 'application/yaml' }]);
    expect(shell.out.map((text) => `${text}\n`).join('')).toBe(stream(...docs));
  });

  it('are those that are named, each once', async () => {
    const shell = new FakeShell({ [`${RULES}/rul_1`]: doc('1', 'a'), [`${RULES}/rul_2`]: doc('2', 'b') });
    await exportRules(shell, ['rul_2', 'rul_1', 'rul_2'], {});
    expect(shell.out.map((text) => `${text}\n`)).toEqual([stream(doc('2', 'b')), stream(doc('1', 'a'))]);
  });

  it('are those of a status', async () => {
    const shell = new FakeShell({ [`${RULES}?status=disabled`]: '' });
    await exportRules(shell, [], { status: 'disabled' });
    expect(shell.out).toEqual([]);
  });
});

describe('rules in a folder', () => {
  it('are a file each, which apply reads', async () => {
    const shell = await into({ [RULES]: stream(doc('1', 'Pushes to main!'), doc('2', 'b', 'description: x\n')) });
    expect(await files()).toEqual(['b.yaml', 'pushes-to-main.yaml']);
    expect(await content('b.yaml')).toBe(doc('2', 'b', 'description: x\n'));
    expect(shell.out).toEqual([`2 rules are in ${join(folder, 'rules')}: 2 new, 0 changed, 0 as they were.`]);
    const wanted = wantedOf(await textFiles(join(folder, 'rules')));
    expect(wanted.map(({ kind, name }) => [kind, name])).toEqual([
      ['rule', 'b'],
      ['rule', 'Pushes to main!'],
    ]);
  });

  it('do not overwrite each other, and keep their files whatever else comes or goes', async () => {
    const [one, two, three] = [doc('aaaaaa', 'a b'), doc('bbbbbb', 'A-B'), doc('cccccc', 'a  b')];
    await into({ [RULES]: stream(one, two, three) });
    const all = ['a-b-bbbbbb.yaml', 'a-b-cccccc.yaml', 'a-b.yaml'];
    expect(await files()).toEqual(all);
    const shell = await into({ [RULES]: stream(three, two) });
    expect(shell.out[0]).toContain('0 new, 0 changed, 2 as they were');
    expect(shell.notes).toEqual([
      `${join(folder, 'rules', 'a-b.yaml')} belongs to no existing rule and was left unchanged.`,
    ]);
    await into({ [`${RULES}/rul_cccccc`]: three }, ['rul_cccccc']);
    expect(await files()).toEqual(all);
    expect(await content('a-b-cccccc.yaml')).toBe(three);
  });

  it('keep their file under another name', async () => {
    await into({ [RULES]: stream(doc('1', 'before')) });
    await into({ [RULES]: stream(doc('1', 'after')) });
    expect(await files()).toEqual(['before.yaml']);
    expect(await content('before.yaml')).toBe(doc('1', 'after'));
  });

  it('take the file of their name where it is of nobody, or of a rule that is gone', async () => {
    await into({ [RULES]: stream(doc('1', 'a'), doc('2', 'b'), doc('3', 'c')) });
    await writeFile(join(folder, 'rules/by-hand.yaml'), 'name: d\neventType: git.push\n');
    await into({
      [RULES]: stream(doc('7', 'a'), doc('8', 'b'), doc('9', 'd')),
      [`${RULES}/rul_1`]: { id: 'rul_1', status: 'archived' },
      [`${RULES}/rul_2`]: { id: 'rul_2', status: 'disabled' },
    });
    expect(await content('a.yaml')).toBe(doc('7', 'a'));
    expect(await content('b.yaml')).toBe(doc('2', 'b'));
    expect(await content('b-rul-8.yaml')).toBe(doc('8', 'b'));
    expect(await content('by-hand.yaml')).toBe(doc('9', 'd'));
  });

  it('leave alone what is none of theirs: other files, links, several documents', async () => {
    const rules = join(folder, 'rules');
    await mkdir(rules);
    const flow = 'name: a\nsteps: []\n';
    const several = stream(doc('1', 'b'), doc('2', 'x'));
    await writeFile(join(folder, 'outside.yaml'), doc('3', 'c'));
    await writeFile(join(rules, 'a.yaml'), flow);
    await writeFile(join(rules, 'b.yaml'), several);
    await symlink(join(folder, 'outside.yaml'), join(rules, 'c.yaml'));
    await mkdir(join(rules, 'd.yaml'));
    await into({ [RULES]: stream(doc('1', 'a'), doc('2', 'b'), doc('3', 'c', 'description: new\n'), doc('4', 'D')) });
    expect(await files()).toEqual(
      ['a', 'a-rul-1', 'b', 'b-rul-2', 'c', 'c-rul-3', 'd', 'd-rul-4'].map((name) => `${name}.yaml`).sort(),
    );
    expect([await content('a.yaml'), await content('b.yaml')]).toEqual([flow, several]);
    expect(await readFile(join(folder, 'outside.yaml'), 'utf8')).toBe(doc('3', 'c'));
  });

  it('never leave the folder, whatever they are called', async () => {
    const names = [
      '../../etc/passwd',
      '/etc/passwd',
      '..',
      '.',
      'C:\\x',
      'con',
      'a\u0000b',
      '日本',
      '🙂',
      '.hidden',
      'x'.repeat(300),
    ];
    await into({ [RULES]: stream(...names.map((name, n) => doc(`${n}`, name))) });
    expect(await readdir(folder)).toEqual(['rules']);
    const found = await files();
    expect(found).toHaveLength(names.length);
    for (const file of found) expect(file).toMatch(/^[a-z0-9][a-z0-9-]{0,90}\.yaml$/);
  });

  it('are warned about where apply could not tell them apart', async () => {
    const shell = await into({ [RULES]: stream(doc('1', 'a'), doc('2', 'a')) });
    expect(shell.notes).toEqual(['2 rules are called "a" (rul_1, rul_2): apply needs names that differ.']);
    expect(await files()).toEqual(['a-rul-2.yaml', 'a.yaml']);
  });

  it('cannot be written where a file is', async () => {
    await writeFile(join(folder, 'rules'), '');
    await expect(into({ [RULES]: stream(doc('1', 'a')) })).rejects.toThrow(/cannot be made a folder/);
  });
});

describe('the name of a file', () => {
  it.each([
    ['Pushes to main!', 'pushes-to-main'],
    ['Für Élise — №5', 'fur-elise-no5'],
    ['--a--', 'a'],
    ['日本', 'rule'],
    ['', 'rule'],
    ['NUL', 'rule-nul'],
    ['com1', 'rule-com1'],
    [`${'a'.repeat(59)} b`, 'a'.repeat(59)],
  ])('of %j is %s', (name, slug) => {
    expect(slugOf(name)).toBe(slug);
  });
});
