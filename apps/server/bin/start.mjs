// `npm start`: everything a fresh clone needs, then the server in this same process, so that signals reach it.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { requireDependencies, requireNode, root } from './installed.mjs';

requireNode();
requireDependencies({ development: false });
const { build } = await import('./build.mjs');
const compiled = await build();
if (compiled > 0) console.error(`Built ${compiled} files.`);
process.setSourceMapsEnabled(true);
await import(pathToFileURL(join(root, 'dist', 'apps', 'server', 'src', 'main.js')).href);
