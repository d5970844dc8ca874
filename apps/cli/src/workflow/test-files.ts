import { readdir, readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { UnreadableFile } from '../rule/rule-file.js';

const TEST = /\.test\.(ya?ml)$/;
const LEFT_OUT = new Set(['node_modules', 'dist']);

/** A file with tests, and the workflow beside it. */
export interface TestPair {
  readonly tests: string;
  readonly workflow: string;
}

/**
 * The test files at these paths: a file of tests, a workflow with its tests beside it, or a folder with all that is below.
 * @throws UnreadableFile if nothing is there, or no tests are.
 */
export async function testPairs(paths: readonly string[]): Promise<readonly TestPair[]> {
  const found = new Map<string, TestPair>();
  for (const path of paths) {
    const pairs = await pairsAt(path);
    if (pairs.length === 0)
      throw new UnreadableFile(`There are no tests in ${path}. Write name.test.yaml beside name.yaml.`);
    for (const pair of pairs) found.set(pair.tests, pair);
  }
  return [...found.values()];
}

async function pairsAt(path: string): Promise<readonly TestPair[]> {
  const known = await stat(path).catch(() => undefined);
  if (!known) throw new UnreadableFile(`There is no file or folder ${path}.`);
  if (known.isDirectory()) return pairsBelow(path);
  if (TEST.test(path)) return [{ tests: path, workflow: path.replace(TEST, '.$1') }];
  const tests = path.replace(/\.(ya?ml)$/, '.test.$1');
  if (tests === path || !(await stat(tests).catch(() => undefined)))
    throw new UnreadableFile(`There are no tests of ${path}: write ${tests}.`);
  return [{ tests, workflow: path }];
}

async function pairsBelow(folder: string): Promise<readonly TestPair[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const pairs: TestPair[] = [];
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (entry.name.startsWith('.') || LEFT_OUT.has(entry.name)) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) pairs.push(...(await pairsBelow(path)));
    else if (TEST.test(entry.name)) pairs.push({ tests: path, workflow: path.replace(TEST, '.$1') });
  }
  return pairs;
}

/** Both texts. @throws UnreadableFile */
export async function textsOf({ tests, workflow }: TestPair): Promise<{ tests: string; workflow: string }> {
  const source = await readFile(workflow, 'utf8').catch(() => {
    throw new UnreadableFile(`${tests} has no workflow beside it: there is no file ${workflow}.`);
  });
  return { tests: await readFile(tests, 'utf8'), workflow: source };
}

/** The folders in which something may change. */
export const foldersOf = (pairs: readonly TestPair[]): readonly string[] => [
  ...new Set(pairs.map(({ tests }) => dirname(tests))),
];
