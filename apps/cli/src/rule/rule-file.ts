import { readFile } from 'node:fs/promises';
import { text as readAll } from 'node:stream/consumers';

import { isObject } from '#libs/kernel/src/json.js';
import { readYaml, type YamlDocument } from '#libs/yaml/src/read-yaml.js';
import type { SourcePosition } from '#libs/yaml/src/source-position.js';

/** What a file is wrong about, with its place; not a fault of the program. */
export class UnreadableFile extends Error {
  override readonly name = 'UnreadableFile';
  /** @param at where it does not parse, and why; the message says so too. */
  constructor(
    message: string,
    readonly at?: { readonly line: number; readonly column: number; readonly detail: string },
  ) {
    super(message);
  }
}

/** No rule and no event is larger; a value in a rule may be deeper than people write. */
const LIMITS = { maxBytes: 2 * 1024 * 1024, maxDepth: 500, maxValues: 1_000_000 };

/**
 * The value of a YAML or JSON document; `-` is the standard input.
 * @throws UnreadableFile with the file's name and, where it does not parse, line and column.
 */
export async function readDocument(path: string): Promise<unknown> {
  return parseDocument(path === '-' ? await readAll(process.stdin) : await contentOf(path), path).value;
}

async function contentOf(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new UnreadableFile(code === 'ENOENT' ? `There is no file ${path}.` : `${path} cannot be read: ${message}`);
  }
}

/**
 * @param line of the file at which the text begins, from 1.
 * @throws UnreadableFile
 */
export function parseDocument(content: string, path: string, line = 1): YamlDocument {
  const read = readYaml(content, LIMITS);
  if ('document' in read) return read.document;
  const { problem } = read;
  const at = { line: line - 1 + problem.line, column: problem.column, detail: problem.detail };
  throw new UnreadableFile(`${path}:${at.line}:${at.column}: ${at.detail}`, at);
}

/**
 * Where people look for a value: a text or number where it begins, an object or list at its key. Where the pointer leads
 * nowhere, the nearest thing around it.
 */
export function placeOf({ value, position, keyPosition }: YamlDocument, pointer: string): SourcePosition {
  const tokens = pointer.split('/').slice(1);
  let found: unknown = value;
  let at = '';
  for (const token of tokens) {
    const key = token.replaceAll('~1', '/').replaceAll('~0', '~');
    if (!(isObject(found) || Array.isArray(found)) || !Object.hasOwn(found, key)) break;
    found = (found as Record<string, unknown>)[key];
    at += `/${token}`;
  }
  return typeof found === 'object' && found !== null ? keyPosition(at) : position(at);
}

/** One document of a file, and the line at which it begins, from 1. */
export interface FilePart {
  readonly line: number;
  readonly text: string;
}

/**
 * The YAML documents of a file, which lines of `---` part; those without content are left out. YAML allows such a line
 * within no text, so that looking for it is enough.
 */
export function documentsOf(content: string): readonly FilePart[] {
  const starts = [0, ...[...content.matchAll(/^---(?=\s|$)/gm)].map(({ index }) => index).filter((index) => index > 0)];
  let line = 1;
  const parts = starts.map((start, index) => {
    const text = content.slice(start, starts[index + 1]);
    const part = { line, text };
    line += text.split('\n').length - 1;
    return part;
  });
  const full = parts.filter(({ text }) => text.split('\n').some((one) => !/^%|^(?:---|\.\.\.)?\s*(?:#.*)?$/.test(one)));
  // Comments before the only document belong to it.
  return full.length === 0 || (full.length === 1 && full[0] === parts.at(-1)) ? [{ line: 1, text: content }] : full;
}
