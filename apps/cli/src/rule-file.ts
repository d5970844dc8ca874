import { readFile } from 'node:fs/promises';
import { text as readAll } from 'node:stream/consumers';

import { load, YAMLException } from 'js-yaml';

/** What a file is wrong about, with its place; not a fault of the program. */
export class UnreadableFile extends Error {
  override readonly name = 'UnreadableFile';
}

/** Largest file that is read: no rule and no event is larger. */
const MAX_BYTES = 2 * 1024 * 1024;

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

/** @throws UnreadableFile */
export function parseDocument(content: string, path: string): unknown {
  if (content.length > MAX_BYTES) throw new UnreadableFile(`${path} is larger than 2 MiB.`);
  try {
    return load(content, { filename: path });
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    const { line = 0, column = 0 } = (error.mark ?? {}) as { line?: number; column?: number };
    throw new UnreadableFile(`${path}:${line + 1}:${column + 1}: ${error.reason}`);
  }
}
