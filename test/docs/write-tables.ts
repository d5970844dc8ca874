import { mkdir, readFile, writeFile } from 'node:fs/promises';

import { format, resolveConfig } from 'prettier';

import { presetPages } from './preset-pages.js';
import { withTables, workflowPages, workflowTables } from './workflow-tables.js';

/**
 * Writes the tables of the pages on workflows and the pages of docs/integrations anew: `npm run docs`. Tests check that they are as
 * the program says.
 */
const docs = new URL('../../docs/', import.meta.url);
const write = async (name: string, page: string): Promise<void> => {
  const path = new URL(name, docs).pathname;
  await writeFile(path, await format(page, { ...(await resolveConfig(path)), parser: 'markdown' }));
};
for (const page of workflowPages)
  await write(page, withTables(await readFile(new URL(page, docs), 'utf8'), workflowTables()));
await mkdir(new URL('integrations/', docs), { recursive: true });
for (const [name, page] of presetPages()) await write(`integrations/${name}`, page);
