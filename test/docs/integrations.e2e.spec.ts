import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { type Example, follow } from '../support/doc-examples.js';
import { ADMIN_TOKEN, ROOT, TestServer } from '../support/server.js';

let page: string;
let database: TestDatabase;
let server: TestServer;
beforeAll(async () => {
  page = await readFile(join(ROOT, 'docs/integrations.md'), 'utf8');
  database = await createTestDatabase();
  server = await TestServer.start({ databaseUrl: database.url });
});
afterAll(async () => {
  await server?.stop();
  await database?.drop();
});

describe('the page on integrations', () => {
  it('is answered as it says, from its first request to its last', async () => {
    // Counts lag by about a second.
    const counted = ({ method }: Example, path: string) =>
      method === 'GET' ? waitFor('the counts', () => isCounted(path)) : Promise.resolve();
    expect(await follow(page, server.url, ADMIN_TOKEN, counted)).toBeGreaterThan(10);
  });

  it('names fields that there are, and all of them', () => {
    const named = [...page.matchAll(/^\| `(\w+)` +\|/gm)].map(([, field]) => field);
    expect(named.sort()).toEqual([
      'allowedSources',
      'config',
      'customPath',
      'dedupeKey',
      'expectedEvery',
      'name',
      'provider',
      'rateLimit',
      'secret',
    ]);
  });
});

const isCounted = async (path: string): Promise<boolean> => {
  const { counts } = await server.get<{ counts: { received: number; duplicates: number } }>(path);
  return counts.received === 2 && counts.duplicates === 1;
};
