import { readFile } from 'node:fs/promises';
import { text as readAll } from 'node:stream/consumers';

import { load, YAMLException } from 'js-yaml';

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

/** Largest file that is read: no rule and no event is larger. */
const MAX_BYTES = 2 * 1024 * 1024;
/** Levels of a document; a value in a rule may be deeper than people write. */
export const MAX_DEPTH = 500;

/**
 * A YAML or JSON document; `-` is the standard input.
 * @throws UnreadableFile with the file's name and, where it does not parse, line and column.
 */
export async function readDocument(path: string): Promise<unknown> {
  return parseDocument(path === '-' ? await readAll(process.stdin) : await contentOf(path), path);
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
export function parseDocument(content: string, path: string, line = 1): unknown {
  if (content.length > MAX_BYTES) throw new UnreadableFile(`${path} is larger than 2 MiB.`);
  try {
    return load(content, { filename: path, maxDepth: MAX_DEPTH });
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    const { line: below = 0, column = 0 } = (error.mark ?? {}) as { line?: number; column?: number };
    const at = { line: line + below, column: column + 1, detail: error.reason };
    throw new UnreadableFile(`${path}:${at.line}:${at.column}: ${at.detail}`, at);
  }
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
