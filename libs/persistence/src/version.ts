import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { parseJson } from '#libs/kernel/src/text/exact-json.js';

/** Of the package that this file is part of, compiled or not. */
export const VERSION: string = versionAbove(import.meta.dirname);

function versionAbove(folder: string): string {
  try {
    return (parseJson(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string }).version;
  } catch {
    const parent = dirname(folder);
    return parent === folder ? 'unknown' : versionAbove(parent);
  }
}
