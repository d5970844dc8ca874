import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { ADMIN_TOKEN, TestServer } from '../../support/server.js';

const TYPE = 'issue.created';

let database: TestDatabase;
let dataDir: string;
let server: TestServer;
beforeAll(async () => {
  database = await createTestDatabase();
  dataDir = await mkdtemp(join(tmpdir(), 'millrace-stream-'));
  server = await TestServer.start({ databaseUrl: database.url, dataDir });
});
afterAll(async () => {
  await server?.stop();
  await database?.drop();
  await rm(dataDir, { recursive: true, force: true });
});

/** A client that connects again with the last id, as browsers do. */
class Client {
  text = '';
  lastId: string | undefined;
  isOpen = false;

  constructor(private readonly token: string) {}

  async connect(): Promise<void> {
    const answer = await fetch(`${server.url}/api/v1/events/stream?type=${TYPE}`, {
      headers: {
        authorization: `Bearer ${this.token}`,
        ...(this.lastId !== undefined && { 'last-event-id': this.lastId }),
      },
    });
    expect(answer.headers.get('content-type')).toBe('text/event-stream');
    this.isOpen = true;
    void this.read(answer.body!);
    await waitFor('the first message', () => this.lastId !== undefined);
  }

  private async read(body: AsyncIterable<Uint8Array>): Promise<void> {
    let unread = '';
    try {
      for await (const chunk of body) {
        const blocks = (unread + Buffer.from(chunk).toString()).split('\n\n');
        unread = blocks.pop()!;
        for (const block of blocks) {
          this.text += `${block}\n\n`;
          this.lastId = /^id: (\d+)$/m.exec(block)?.[1] ?? this.lastId;
        }
      }
    } catch {
      // The server was killed.
    }
    this.isOpen = false;
  }

  /** Titles of the issues, one for each event. */
  get titles(): readonly string[] {
    return this.text
      .split('\n\n')
      .filter((block) => block.includes('\ndata: {"id"'))
      .map((block) => /"title":"(\w+)"/.exec(block)![1]!);
  }
}

const open = (title: string): Promise<unknown> => server.post('/api/v1/issues', { title });

describe('GET /api/v1/events/stream', () => {
  it('sends every event once to a client that connects again, also where the server is killed, and ends with it', async () => {
    const { token } = await server.post<{ token: string }>('/api/v1/organisations', { name: 'the other' });
    const [client, other] = [new Client(ADMIN_TOKEN), new Client(token)];
    await client.connect();
    await other.connect();
    await open('v1');
    await open('v2');
    await waitFor('two events', () => client.titles.length === 2);

    await server.kill();
    await waitFor('the cut', () => !client.isOpen);
    server = await TestServer.start({ databaseUrl: database.url, dataDir });
    await open('v3');
    await client.connect();
    await open('v4');
    await waitFor(
      'four events',
      () => client.titles.length >= 4,
      () => client.text,
    );
    expect(client.titles).toEqual(['v1', 'v2', 'v3', 'v4']);
    expect(other.titles).toEqual([]);

    expect(await server.stop()).toBe(0);
    await waitFor('the end', () => !client.isOpen);
    expect(client.text).toContain('event: end\ndata: {"code":"server.stopping"');
  });
});
