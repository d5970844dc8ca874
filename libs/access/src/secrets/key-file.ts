import { randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';

import { Rejected } from '#libs/kernel/src/errors.js';

const FILE = 'secret.key';

/** The 32 bytes of a key in base64 (standard or URL-safe), or why not. */
export function parseKey(text: string): Buffer | { readonly problem: string } {
  const trimmed = text.trim();
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(trimmed)) return { problem: 'is not base64' };
  const bytes = Buffer.from(trimmed, 'base64');
  return bytes.length === 32 ? bytes : { problem: `has ${bytes.length} bytes; it must have 32` };
}

/** The key that an earlier start put into the data folder, if it did. */
export function readKeyFile(dataDir: string): Buffer | undefined {
  const path = join(dataDir, FILE);
  if (!existsSync(path)) return undefined;
  const key = parseKey(readFileSync(path, 'utf8'));
  if (Buffer.isBuffer(key)) return key;
  throw new Rejected(
    'invalid',
    'secrets.bad_key_file',
    `The key file ${path} ${key.problem}. Restore it from a backup: without it the stored secrets cannot be read.`,
  );
}

/**
 * The key of this data folder, drawn at the first call. It appears under its name only when it is whole and on the
 * disk, and never replaces one: of two processes that start at once, both use the one that was first.
 */
export function keyFromFile(dataDir: string): Buffer {
  const known = readKeyFile(dataDir);
  if (known) return known;
  mkdirSync(dataDir, { recursive: true });
  const draft = join(dataDir, `.${FILE}.${process.pid}`);
  const file = openSync(draft, 'w', 0o600);
  try {
    writeSync(file, `${randomBytes(32).toString('base64')}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  try {
    linkSync(draft, join(dataDir, FILE));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    rmSync(draft, { force: true });
  }
  return readKeyFile(dataDir)!;
}
