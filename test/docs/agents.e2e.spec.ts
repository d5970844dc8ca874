import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';

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

describe.each(['agents', 'messages', 'trackers', 'organisations', 'secrets', 'event-types', 'privacy'])(
  'the page on %s',
  (name) => {
    it('is answered as it says, from its first request to its last', async () => {
      const page = await readFile(join(ROOT, `docs/${name}.md`), 'utf8');
      expect(await follow(page, server.url, ADMIN_TOKEN)).toBeGreaterThan(2);
    });
  },
);

describe('the catalogue of GitProductivity', () => {
  it('has six types that can be loaded twice, whose examples can be published', async () => {
    const folder = join(ROOT, 'docs/examples/gitproductivity');
    const files = (await readdir(folder)).filter((name) => name.endsWith('.yaml'));
    expect(files).toHaveLength(6);
    for (const file of files) {
      const type = parse(await readFile(join(folder, file), 'utf8')) as { type: string; example: object };
      // The page has made a type of its own of this one.
      const isKnown = type.type === 'developer.added';
      const { type: name, ...content } = { ...type };
      if (isKnown) await server.call('PUT', `/api/v1/event-types/${name}`, content);
      const first = await server.post<{ version: number }>('/api/v1/event-types', type);
      expect(await server.post('/api/v1/event-types', type)).toMatchObject({ type: name, version: first.version });
      await server.post('/api/v1/events', { type: name, data: type.example });
    }
    expect(await server.list('/api/v1/events?type=metrics.updated')).toHaveLength(1);
  });
});
