import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { isObject } from '#libs/kernel/src/json.js';

import { parseDocument, UnreadableFile } from './rule-file.js';

/** A file that is to be brought into force: a workflow has steps, a rule an event type. */
export type Wanted =
  | { readonly file: string; readonly kind: 'rule'; readonly name: string; readonly body: Record<string, unknown> }
  | { readonly file: string; readonly kind: 'workflow'; readonly name: string; readonly source: string }
  | { readonly file: string; readonly kind: 'unreadable'; readonly name: string; readonly problem: string };

export interface TextFile {
  readonly file: string;
  readonly text: string;
}

const IS_WANTED = /^[^.].*\.(ya?ml|json)$/;
const IS_TEST = /\.test\.ya?ml$/;
/** Folders within the one that was named in which files are looked for too. */
const FOLDERS = ['rules', 'workflows'];

/**
 * A file, or the YAML and JSON files of a folder and of its `rules` and `workflows`, by name.
 * @throws UnreadableFile
 */
export async function textFiles(path: string): Promise<readonly TextFile[]> {
  const found = await stat(path).catch(() => undefined);
  if (!found) throw new UnreadableFile(`There is no file or folder ${path}.`);
  if (!found.isDirectory()) return [{ file: path, text: await readFile(path, 'utf8') }];
  const files: TextFile[] = [];
  for (const folder of [path, ...FOLDERS.map((name) => join(path, name))]) {
    const names = await readdir(folder).catch(() => []);
    for (const name of names.sort())
      if (IS_WANTED.test(name) && !IS_TEST.test(name))
        files.push({ file: join(folder, name), text: await readFile(join(folder, name), 'utf8') });
  }
  if (files.length === 0)
    throw new UnreadableFile(`There are no YAML or JSON files in ${path}, ${FOLDERS.join(' or ')}.`);
  return files;
}

/** What each file holds; what is no rule and no workflow has its problem, and a name that is given twice as well. */
export function wantedOf(files: readonly TextFile[]): readonly Wanted[] {
  const seen = new Map<string, string>();
  return files.map((file) => {
    const wanted = oneWanted(file);
    if (wanted.kind === 'unreadable') return wanted;
    const key = `${wanted.kind} ${wanted.name}`;
    const other = seen.get(key);
    seen.set(key, wanted.file);
    return other === undefined
      ? wanted
      : { file: wanted.file, kind: 'unreadable', name: wanted.name, problem: `${other} is a ${key} already.` };
  });
}

function oneWanted({ file, text }: TextFile): Wanted {
  const unreadable = (problem: string): Wanted => ({ file, kind: 'unreadable', name: '', problem });
  try {
    const body = parseDocument(text, file);
    if (!isObject(body)) return unreadable('It holds no rule and no workflow.');
    const { name } = body;
    if (typeof name !== 'string' || name === '') return unreadable('It has no name.');
    if (Object.hasOwn(body, 'steps')) return { file, kind: 'workflow', name, source: text };
    if (Object.hasOwn(body, 'eventType')) return { file, kind: 'rule', name, body };
    return unreadable('It is no rule, which has an eventType, and no workflow, which has steps.');
  } catch (error) {
    if (!(error instanceof UnreadableFile)) throw error;
    return unreadable(error.message);
  }
}
