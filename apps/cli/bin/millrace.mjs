#!/usr/bin/env node
// `millrace …`: installs and builds what is missing, as `npm start` does, then hands over to the program.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { requireDependencies, requireNode, root } from '../../server/bin/installed.mjs';

requireNode();
requireDependencies({ development: false });
const { build } = await import('../../server/bin/build.mjs');
await build();
process.setSourceMapsEnabled(true);
// `millrace … | head` has read enough: nothing is wrong.
process.stdout.on('error', (error) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});
const { main } = await import(pathToFileURL(join(root, 'dist', 'apps', 'cli', 'src', 'main.js')).href);
// Not `process.exit`: what is still on its way to a pipe would be cut off.
process.exitCode = await main(process.argv.slice(2));
