import { readFile, writeFile } from 'node:fs/promises';

import { format, resolveConfig } from 'prettier';

import { withTables, workflowTables } from './workflow-tables.js';

/** Writes the tables of docs/workflows.md anew: `npm run docs`. A test checks that they are as the program says. */
const path = new URL('../../docs/workflows.md', import.meta.url).pathname;
const page = withTables(await readFile(path, 'utf8'), workflowTables());
await writeFile(path, await format(page, { ...(await resolveConfig(path)), parser: 'markdown' }));
