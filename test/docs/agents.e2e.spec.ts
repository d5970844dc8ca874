import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { waitFor } from '#libs/kernel/testing/wait-for.js';

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

describe('the page on agents', () => {
  it('is answered as it says, from its first request to its last', async () => {
    const page = await readFile(join(ROOT, 'docs/agents.md'), 'utf8');
    expect(await follow(page, server.url, ADMIN_TOKEN)).toBeGreaterThan(6);
  });

  it('is true of messages too: what a rule asks for is listed until somebody sends it', async () => {
    const { id } = await server.post<{ id: string }>('/api/v1/rules', {
      name: 'tell ops',
      eventType: 'message.received',
      actions: [
        { type: 'send_message', with: { integration: 'chat', channel: '#ops', text: '${{ data.message.text }}' } },
      ],
    });
    const event = await server.post<{ id: string }>('/api/v1/events', {
      type: 'message.received',
      subject: 'channel/support',
      data: { channel: { id: 'support' }, message: { text: 'hello' } },
    });
    const waiting = await waitFor('the message to be asked for', async () => {
      const all = await server.list<object>('/api/v1/actions?type=send_message');
      return all.length > 0 && all;
    });
    expect(waiting).toMatchObject([
      {
        type: 'send_message',
        status: 'pending',
        requestedBy: { kind: 'rule', ruleId: id },
        eventId: event.id,
        details: { integration: 'chat', channel: '#ops', text: 'hello' },
      },
    ]);
  });
});
