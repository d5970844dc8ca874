import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

import { messageOf } from '#libs/kernel/src/errors.js';

import type { Plugin } from './define-plugin.js';
import { checkPlugin, unusable } from './plugins.js';

/**
 * The plug-ins behind module specifiers: package names, or paths (absolute, or relative to `folder` when they begin
 * with a dot). Nothing is loaded by halves: the first that cannot be used ends it.
 * @throws Rejected `plugin.unusable`, naming the specifier and the reason.
 */
export async function loadPlugins(specifiers: readonly string[], folder: string): Promise<readonly Plugin[]> {
  const plugins: Plugin[] = [];
  for (const specifier of specifiers) {
    const plugin = await importDefault(specifier, folder);
    checkPlugin(plugin, specifier);
    plugins.push(plugin);
  }
  return plugins;
}

async function importDefault(specifier: string, folder: string): Promise<unknown> {
  const isPath = specifier.startsWith('.') || specifier.startsWith('/');
  try {
    const module = (await import(isPath ? pathToFileURL(resolve(folder, specifier)).href : specifier)) as {
      default?: unknown;
    };
    return module.default;
  } catch (error) {
    throw unusable(specifier, `its module cannot be loaded: ${messageOf(error)}`, error);
  }
}
