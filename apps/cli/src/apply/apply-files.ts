import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { text as readAll } from 'node:stream/consumers';

import { isObject } from '#libs/kernel/src/json.js';
import type { YamlDocument } from '#libs/yaml/src/read-yaml.js';
import type { SourcePosition } from '#libs/yaml/src/source-position.js';

import { documentsOf, type FilePart, parseDocument, placeOf, UnreadableFile } from '../rule/rule-file.js';

/** What is wrong with a document; with its place in the file where that is known. */
export interface FileProblem extends Partial<SourcePosition> {
  readonly detail: string;
  readonly pointer?: string;
  readonly code?: string;
}

interface Source {
  /** As it is shown: the path, with the line where the file holds several documents. */
  readonly file: string;
  readonly path: string;
  /** At which it begins in the file, from 1. */
  readonly line: number;
  /** Where a value stands in the file. */
  readonly place: (pointer: string) => SourcePosition;
}

/** A document that is to be applied: a workflow has steps, a rule an event type, an event type a schema. */
export type Wanted = Source & { readonly name: string } & (
    | { readonly kind: 'rule'; readonly body: Record<string, unknown> }
    | { readonly kind: 'workflow'; readonly source: string }
    | { readonly kind: 'event type'; readonly body: Record<string, unknown> }
    | { readonly kind: 'unreadable'; readonly problem: FileProblem }
  );

export interface TextFile {
  readonly file: string;
  readonly text: string;
}

const IS_WANTED = /^[^.].*\.(ya?ml|json)$/;
const IS_TEST = /\.test\.ya?ml$/;
/** Folders in the named one whose files are applied too. */
const FOLDERS = ['event-types', 'rules', 'workflows'];

/**
 * A file, the standard input (`-`), or the YAML and JSON files of a folder and of its `event-types`, `rules` and `workflows`, by name.
 * @throws UnreadableFile
 */
export async function textFiles(path: string): Promise<readonly TextFile[]> {
  if (path === '-') return [{ file: path, text: await readAll(process.stdin) }];
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
    throw new UnreadableFile(`There are no YAML or JSON files in ${path} or its folders ${FOLDERS.join(', ')}.`);
  return files;
}

/**
 * What each document of each file holds. A document of no known kind has a problem, and so has a name that is given twice.
 */
export function wantedOf(files: readonly TextFile[]): readonly Wanted[] {
  const seen = new Map<string, string>();
  return files.flatMap(allOf).map((wanted) => {
    if (wanted.kind === 'unreadable') return wanted;
    const { file, path, line, place, name } = wanted;
    const key = `${wanted.kind} ${name}`;
    const other = seen.get(key);
    seen.set(key, file);
    if (other === undefined) return wanted;
    return {
      file,
      path,
      line,
      place,
      name,
      kind: 'unreadable',
      problem: { ...place('/name'), detail: `${other} already has the ${key}.` },
    };
  });
}

function allOf({ file, text }: TextFile): readonly Wanted[] {
  const parts = documentsOf(text);
  return parts.map((part) => oneWanted(parts.length === 1 ? file : `${file}:${part.line}`, file, part));
}

function oneWanted(file: string, path: string, { line, text }: FilePart): Wanted {
  let document: YamlDocument;
  try {
    document = parseDocument(text, path, line);
  } catch (error) {
    if (!(error instanceof UnreadableFile)) throw error;
    const problem = error.at ?? { detail: error.message };
    return { file, path, line, place: () => ({ line, column: 1 }), kind: 'unreadable', name: '', problem };
  }
  const place = (pointer: string): SourcePosition => {
    const below = placeOf(document, pointer);
    return { line: line - 1 + below.line, column: below.column };
  };
  const source = { file, path, line, place };
  const none = (detail: string): Wanted => ({
    ...source,
    kind: 'unreadable',
    name: '',
    problem: { ...place(''), detail },
  });
  const body = document.value;
  if (!isObject(body)) return none('The file must hold a rule, a workflow or an event type.');
  if (typeof body['type'] === 'string' && Object.hasOwn(body, 'schema'))
    return { ...source, kind: 'event type', name: body['type'], body };
  const { name } = body;
  if (typeof name !== 'string' || name === '') return none('"name" is required.');
  if (Object.hasOwn(body, 'steps') || Object.hasOwn(body, 'nodes'))
    return { ...source, kind: 'workflow', name, source: text };
  if (Object.hasOwn(body, 'eventType')) return { ...source, kind: 'rule', name, body };
  return none(
    'The document must be a rule, which has an eventType, a workflow, which has steps, or an event type, which has a type and a schema.',
  );
}
