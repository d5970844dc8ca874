import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { ADMIN_TOKEN, ROOT, TestServer, waitFor } from '../support/server.js';

/** A request of the page, and what the page says that it is answered. */
interface Example {
  readonly method: string;
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: string | undefined;
  readonly status: number;
  readonly answer: unknown;
}

/** A block with a request, and the one after it with the answer. */
function examplesOf(page: string): readonly Example[] {
  const blocks = [...page.matchAll(/^```(\w+)(?: (\d+))?\n(.*?)^```$/gms)];
  return blocks.flatMap(([, language, , text], index) => {
    if (language !== 'http') return [];
    const [, kind, status, answer = ''] = blocks[index + 1] ?? [];
    if (kind !== 'json' || status === undefined) throw new Error(`what is this answered?\n${text}`);
    const [head = '', body] = text!.split('\n\n');
    const [line = '', ...headers] = head.trim().split('\n');
    const [method = '', path = ''] = line.split(' ');
    return {
      method,
      path,
      headers: Object.fromEntries(headers.map((one) => one.split(': ') as [string, string])),
      body,
      status: Number(status),
      answer: answer.trim() === '' ? undefined : (JSON.parse(answer) as unknown),
    };
  });
}

/** `…` in a text stands for anything, and a text that is nothing else for any value that is there. */
function shown(value: unknown): unknown {
  if (value === '…') return expect.anything();
  if (typeof value === 'string' && value.includes('…')) {
    const pattern = value.split('…').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
    return expect.stringMatching(new RegExp(`^${pattern.join('.*')}$`));
  }
  if (Array.isArray(value)) return value.map(shown);
  if (typeof value !== 'object' || value === null) return value;
  return expect.objectContaining(Object.fromEntries(Object.entries(value).map(([key, one]) => [key, shown(one)])));
}

let page: string;
let database: TestDatabase;
let server: TestServer;
beforeAll(async () => {
  page = await readFile(join(ROOT, 'docs/integrations.md'), 'utf8');
  database = await createTestDatabase();
  server = await TestServer.start({ databaseUrl: database.url });
}, 90_000);
afterAll(async () => {
  await server?.stop();
  await database?.drop();
});

describe('the page on integrations', () => {
  it('is answered as it says, from its first request to its last', async () => {
    const examples = examplesOf(page);
    expect(examples.length).toBeGreaterThan(10);
    let id = '';
    for (const { method, path, headers, body, status, answer } of examples) {
      const filled = path.replace('{id}', id);
      // Counts lag by about a second.
      if (method === 'GET') await waitFor('the counts', () => counted(filled));
      const response = await fetch(server.url + filled, {
        method,
        headers: {
          ...(path.startsWith('/api/v1/') && { authorization: `Bearer ${ADMIN_TOKEN}` }),
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body !== undefined && { body }),
      });
      const text = await response.text();
      const json: unknown = text === '' ? undefined : JSON.parse(text);
      expect({ path, status: response.status, json }).toEqual({ path, status, json: shown(answer) });
      id ||= (json as { id: string }).id;
    }
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

const counted = async (path: string): Promise<boolean> => {
  const { counts } = await server.get<{ counts: { received: number; duplicates: number } }>(path);
  return counts.received === 2 && counts.duplicates === 1;
};
