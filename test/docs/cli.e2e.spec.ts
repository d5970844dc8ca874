import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { EXIT } from '#apps/cli/src/failures.js';

import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { ADMIN_TOKEN, ROOT, TestServer } from '../support/server.js';

const SECRET = 'whsec_ZG9jcy1zZWNyZXQtb2YtYm90aC1zaWRlcw==';

describe('the page on the command line', () => {
  let text: string;
  let server: TestServer;
  let database: TestDatabase;
  let folder: string;
  beforeAll(async () => {
    text = await readFile(join(ROOT, 'docs/cli.md'), 'utf8');
    folder = await mkdtemp(join(tmpdir(), 'millrace-cli-'));
    // As if it were the checkout: what the commands write must not be left there.
    await symlink(join(ROOT, 'libs'), join(folder, 'libs'));
    database = await createTestDatabase();
    server = await TestServer.start({ databaseUrl: database.url });
  });
  afterAll(async () => {
    await server.stop();
    await database.drop();
    await rm(folder, { recursive: true, force: true });
  });

  /** The commands of the page, one after the other, with the integration of this sender. */
  async function shell(script: string, slug = ''): Promise<{ code: number; out: string }> {
    const { PATH = '', HOME = '' } = process.env;
    const program = `npx() { shift; node ${JSON.stringify(join(ROOT, 'apps/cli/bin/millrace.mjs'))} "$@"; }\n`;
    const env = { PATH, HOME, SLUG: slug, SECRET, MILLRACE_URL: server.url, MILLRACE_TOKEN: ADMIN_TOKEN };
    const child = spawn('bash', ['-e', '-c', program + script], { cwd: folder, env });
    let out = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (out += data.toString()));
    const [code] = (await once(child, 'close')) as [number];
    return { code, out };
  }

  it('has commands that work', async () => {
    const lines = [...text.matchAll(/^```bash\n(.*?)^```$/gms)].flatMap(([, body]) => body!.trim().split('\n'));
    expect(lines).toHaveLength(10);
    for (const line of lines) {
      const name = /--sign (\w+).*(?:--to)|--to.*--sign (\w+)/.exec(line)?.slice(1).find(Boolean);
      const slug =
        name === undefined
          ? ''
          : (await server.post<{ slug: string }>('/api/v1/integrations', { name, provider: name, secret: SECRET }))
              .slug;
      const { code, out } = await shell(line, slug);
      expect({ line, code, out }).toMatchObject({ line, code: 0 });
    }
  });

  it('names every option of send, and every verb', async () => {
    const help = await shell('npx millrace send --help');
    const options = [...help.out.matchAll(/^ {2}(--[\w-]+) </gm)].map(([, option]) => option!);
    expect(options.length).toBeGreaterThan(5);
    for (const option of options) expect(text).toContain(`\`${option} <`);
    const { out } = await shell('npx millrace --help');
    const verbs = [...out.slice(out.indexOf('Commands:')).matchAll(/^ {2}([\w-]+)/gm)].map(([, verb]) => verb!);
    expect(verbs.length).toBeGreaterThan(3);
    for (const verb of verbs.filter((one) => one !== 'help')) expect(text).toContain(`\`${verb} `);
  });

  it('names every exit code', () => {
    for (const code of [0, ...Object.values(EXIT)]) expect(text).toMatch(new RegExp(`^\\| ${code} +\\|`, 'm'));
  });

  it('ends well when nobody wants to read on', async () => {
    const { code, out } = await shell('set -o pipefail; npx millrace --help | head -n 1');
    expect({ code, out }).toEqual({ code: 0, out: expect.stringMatching(/^Usage: millrace/) });
  });
});
