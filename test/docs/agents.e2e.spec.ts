import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { follow } from '../support/doc-examples.js';
import { ADMIN_TOKEN, ROOT, TestServer } from '../support/server.js';

let database: TestDatabase;
let server: TestServer;
beforeAll(async () => {
  database = await createTestDatabase();
  server = await TestServer.start({ databaseUrl: database.url });
});
afterAll(async () => {
  await server?.stop();
  await database?.drop();
});

describe.each(['agents', 'messages', 'trackers', 'secrets'])('the page on %s', (name) => {
  it('is answered as it says, from its first request to its last', async () => {
    const page = await readFile(join(ROOT, `docs/${name}.md`), 'utf8');
    expect(await follow(page, server.url, ADMIN_TOKEN)).toBeGreaterThan(2);
  });
});
