import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';

import { catalogue } from '#libs/events/src/catalogue.js';
import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { ADMIN_TOKEN, ROOT, TestServer } from '../support/server.js';

describe('the page for auditors', () => {
  let server: TestServer;
  let database: TestDatabase;
  let folder: string;
  let event: string;
  let received: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'millrace-auditors-'));
    database = await createTestDatabase();
    server = await TestServer.start({ databaseUrl: database.url, env: { MILLRACE_SEAL_EVERY: '1s' } });
    await server.post('/api/v1/integrations', { name: 'audited', provider: 'github' });
    const [created] = await server.list<{ id: string }>('/api/v1/events?type=integration.created');
    event = created!.id;
    const { example: data } = catalogue['webhook.received'];
    ({ id: received } = await server.post('/api/v1/events', { type: 'webhook.received', data }));
    await waitFor('a checkpoint over the event', async () =>
      fetch(`${server.url}/api/v1/audit/proofs/${event}`, { headers: { authorization: `Bearer ${ADMIN_TOKEN}` } }).then(
        ({ ok }) => ok,
      ),
    );
  });
  afterAll(async () => {
    await server.stop();
    await database.drop();
    await rm(folder, { recursive: true, force: true });
  });

  async function shell(script: string): Promise<{ code: number; out: string }> {
    const { PATH = '', HOME = '' } = process.env;
    const program = `npx() { shift; node ${JSON.stringify(join(ROOT, 'apps/cli/bin/millrace.mjs'))} "$@"; }\n`;
    const env = {
      PATH,
      HOME,
      EVENT: event,
      RECEIVED: received,
      THEN: new Date().toISOString(),
      MILLRACE_URL: server.url,
      MILLRACE_TOKEN: ADMIN_TOKEN,
    };
    const child = spawn('bash', ['-e', '-c', program + script], { cwd: folder, env });
    let out = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (out += data.toString()));
    const [code] = (await once(child, 'close')) as [number];
    return { code, out };
  }

  it('has commands that work, and that find what was changed', async () => {
    const pages = await Promise.all(
      ['auditors', 'retention'].map((name) => readFile(join(ROOT, `docs/${name}.md`), 'utf8')),
    );
    const text = pages.join('\n');
    const all = [...text.matchAll(/^```bash\n(.*?)^```$/gms)].flatMap(([, body]) => body!.trim().split('\n'));
    // The stream of events does not end by itself; it has a test of its own.
    const lines = all.filter((line) => line.startsWith('npx millrace '));
    expect(lines).toHaveLength(25);
    expect(all.filter((line) => !lines.includes(line))).toEqual([expect.stringContaining('/api/v1/events/stream')]);
    for (const line of lines) {
      const { code, out } = await shell(line);
      expect({ line, code, out }).toMatchObject({ line, code: 0 });
    }
    expect(await readFile(join(folder, 'event.tlog-proof'), 'utf8')).toMatch(/^c2sp\.org\/tlog-proof@v1\nindex \d+\n/);

    const bundle = await readFile(join(folder, 'bundle.ndjson'), 'utf8');
    const changed = bundle.replace('\\"name\\":\\"default\\"', '\\"name\\":\\"defaulT\\"');
    expect(changed).not.toBe(bundle);
    await writeFile(join(folder, 'bundle.ndjson'), changed);
    const offline = await shell('npx millrace audit verify bundle.ndjson');
    expect(offline).toMatchObject({ code: 1, out: expect.stringContaining('The event was changed') });

    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    await client.query(
      `update log.events set data = convert_to(replace(convert_from(data, 'UTF8'), 'audited', 'andited'), 'UTF8')
        where type = 'integration.created'`,
    );
    await client.end();
    const online = await shell('npx millrace audit verify --checkpoint checkpoint.txt');
    expect(online.code).toBe(1);
    expect(online.out).toContain(`changed: ${event} integration.created`);
    expect((await shell(`npx millrace audit prove ${event}`)).code).toBe(1);
  });
});
