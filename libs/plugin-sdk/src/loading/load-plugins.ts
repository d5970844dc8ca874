import { existsSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

import { messageOf } from '#libs/kernel/src/errors.js';

import type { Plugin } from '../define-plugin.js';
import { checkPlugin } from './plugins.js';
import { unusable } from './unusable.js';

/** A module that never finishes loading would keep the server from starting, without a word. */
const PATIENCE_MS = 30_000;
const BEGINS_AS_PATH = /^[./]/;

/**
 * The plug-ins behind module specifiers: package names, or paths (absolute, or relative to `folder` when they begin
 * with a dot) of a module or of a package's folder. The first that cannot be used ends it.
 * @throws Rejected `plugin.unusable`, naming the specifier and the reason.
 */
export async function loadPlugins(
  specifiers: readonly string[],
  folder: string,
  patienceMs = PATIENCE_MS,
): Promise<readonly Plugin[]> {
  const plugins: Plugin[] = [];
  for (const specifier of specifiers) {
    const plugin = await importDefault(specifier, folder, patienceMs);
    checkPlugin(plugin, specifier);
    plugins.push(plugin);
  }
  return plugins;
}

async function importDefault(specifier: string, folder: string, patienceMs: number): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined;
  // The operator must learn which plug-in ended the server.
  const { exit } = process;
  process.exit = () => {
    throw new Error('it calls process.exit: only the server ends the process');
  };
  const tooLong = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`it is still loading after ${patienceMs / 1000} s`)), patienceMs);
  });
  try {
    const module: unknown = await Promise.race([import(addressOf(specifier, folder)), tooLong]);
    return (module as { default?: unknown }).default;
  } catch (error) {
    throw unusable(
      specifier,
      `its module cannot be loaded: ${messageOf(error)}${adviceOn(error, specifier, folder)}`,
      error,
    );
  } finally {
    clearTimeout(timer);
    process.exit = exit;
  }
}

function adviceOn(error: unknown, specifier: string, folder: string): string {
  if (!BEGINS_AS_PATH.test(specifier) && existsSync(resolve(folder, specifier)))
    return `, not a package of this name; for the folder or file write ./${specifier}`;
  // It lies outside of this package, which knows itself by name.
  if (/Cannot find package 'millrace'/.test(messageOf(error)))
    return `; link this server's folder into it: npm install --no-save ${folder}`;
  return '';
}

/** What `import()` takes: it knows packages and files, but no folders. */
function addressOf(specifier: string, folder: string): string {
  if (!BEGINS_AS_PATH.test(specifier)) return specifier;
  const path = resolve(folder, specifier);
  const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  return pathToFileURL(isFolder ? createRequire(join(path, 'package.json')).resolve(path) : path).href;
}
