import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { EventStoreDbDouble } from '../../../libs/event-store/testing/eventstoredb-double/eventstoredb-double.adapter.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { Receiver } from '../../support/receiver.js';
import { ADMIN_TOKEN, ROOT, TestServer } from '../../support/server.js';

const SECRET_KEY = Buffer.alloc(32, 5).toString('base64');

describe('servers that move from PostgreSQL to EventStoreDB', () => {
  let database: TestDatabase;
  let receiver: Receiver;
  let double: EventStoreDbDouble;
  beforeAll(async () => {
    database = await createTestDatabase();
    receiver = await Receiver.start();
    double = await EventStoreDbDouble.start();
  });
  afterAll(async () => {
    await receiver.stop();
    await double.stop();
    await database.drop();
  });

  const server = (env: Readonly<Record<string, string>> = {}) =>
    TestServer.start({
      databaseUrl: database.url,
      env: { MILLRACE_SECRET_KEY: SECRET_KEY, MILLRACE_SEAL_EVERY: '1s', ...env },
    });
  const publish = (target: TestServer, n: number) =>
    target.post('/api/v1/events', {
      type: 'webhook.received',
      source: 'tests',
      data: { provider: 'tests', payload: { n } },
    });
  const received = () => receiver.calls.filter(({ body }) => body.includes('"webhook.received"'));

  /** The commands of the page. */
  async function commands(): Promise<readonly string[]> {
    const text = await readFile(join(ROOT, 'docs/backup.md'), 'utf8');
    return [...text.matchAll(/^npx (millrace log copy .*)$/gm)].map(([, line]) => line!);
  }
  async function run(
    line: string,
    crashAt = '',
  ): Promise<{ readonly code: number | string | null; readonly out: string }> {
    const { PATH = '', HOME = '' } = process.env;
    const env = {
      ...{ PATH, HOME, MILLRACE_CRASH_AT: crashAt, MILLRACE_TOKEN: ADMIN_TOKEN },
      ...{ LOG: database.url, NEW: double.connectionString, DATABASE: database.url },
    };
    const program = `millrace() { exec node ${JSON.stringify(join(ROOT, 'apps/cli/bin/millrace.mjs'))} "$@"; }\n`;
    const child = spawn('bash', ['-c', program + line], { env });
    let out = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (out += data.toString()));
    const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
    return { code: signal ?? code, out };
  }

  it('keep everything, do nothing twice, and prove it', async () => {
    const first = await server();
    await first.call('PUT', '/api/v1/secrets/TOKEN', { value: 'moves-along' });
    await first.post('/api/v1/outbound-webhooks', { url: receiver.url, events: ['webhook.received'], disabled: false });
    await publish(first, 1);
    await waitFor('the delivery', () => received().length === 1);
    const [copy, finish] = await commands();
    expect(await run(copy!, 'copy.after-window')).toMatchObject({ code: 'SIGKILL' });
    expect(await run(copy!)).toMatchObject({ code: 0, out: expect.stringContaining('the same tree') });
    await publish(first, 2);
    await waitFor('the second delivery', () => received().length === 2);
    const checkpoint = await waitFor('a checkpoint', () =>
      first.get<{ note: string }>('/api/v1/audit/checkpoint').catch(() => undefined),
    );
    await first.stop();
    expect(await run(finish!)).toMatchObject({ code: 0 });

    const second = await server({ EVENTSTORE_URL: double.connectionString });
    try {
      expect(await second.list('/api/v1/secrets')).toMatchObject([{ name: 'TOKEN' }]);
      expect(await second.list('/api/v1/events?type=webhook.received')).toHaveLength(2);
      await publish(second, 3);
      await waitFor('the third delivery', () => received().length >= 3);
      const note = Buffer.from(checkpoint.note).toString('base64url');
      expect(await second.get(`/api/v1/audit/verify?checkpoint=${note}`)).toMatchObject({ ok: true, findings: [] });
      const bodies = received().map(
        ({ body }) => (JSON.parse(body.toString()) as { data: { payload: { n: number } } }).data.payload.n,
      );
      expect(bodies).toEqual([1, 2, 3]);
    } finally {
      await second.stop();
    }
  });
});
