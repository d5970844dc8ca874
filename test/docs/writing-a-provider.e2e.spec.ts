import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { waitFor } from '#libs/kernel/testing/wait-for.js';
import { parseHttpFile } from '#libs/plugin-sdk/src/http-file.js';

import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { ADMIN_TOKEN, ROOT, TestServer } from '../support/server.js';

/** Somebody follows docs/providers/writing-a-provider.md, to the letter, in an empty folder. */
const EXAMPLE = join(ROOT, 'docs/examples/provider-shipyard');

interface Block {
  /** The file that it is, where the page says so. */
  readonly file: string | undefined;
  readonly language: string;
  readonly body: string;
}

let blocks: readonly Block[];
let folder: string;
beforeAll(async () => {
  const text = await readFile(join(ROOT, 'docs/providers/writing-a-provider.md'), 'utf8');
  blocks = [...text.matchAll(/(?:^<!-- file: (\S+) -->\n\n)?^```(\w+)\n(.*?)^```$/gms)].map(
    ([, file, language, body]) => ({ file, language: language!, body: body! }),
  );
  folder = await mkdtemp(join(tmpdir(), 'millrace-guide-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('the page on writing a provider', () => {
  it('shows the files of the example as they are, all of them', async () => {
    const shown = blocks.filter(({ file }) => file !== undefined);
    const files = (await readdir(EXAMPLE)).filter((name) => !['fixtures', 'node_modules'].includes(name));
    expect(shown.map(({ file }) => file).sort()).toEqual(files.sort());
    for (const { file, body } of shown) expect(body).toBe(await readFile(join(EXAMPLE, file!), 'utf8'));
  });

  describe('followed to the letter', () => {
    let server: TestServer;
    let database: TestDatabase;
    let printed = '';
    let code: number | undefined;

    beforeAll(async () => {
      database = await createTestDatabase();
      const home = join(folder, 'provider-shipyard');
      // Its own commands make the folder; the server is told of it once the files are there, as the page has it.
      const part = (from: number, to?: number) => blocks.slice(from, to).filter(({ language }) => language === 'bash');
      const at = blocks.findIndex(({ language, body }) => language === 'sh' && body.includes('npm start'));
      await shell(part(0, at), folder, {});
      server = await TestServer.start({ databaseUrl: database.url, env: { MILLRACE_PLUGINS: home } });
      await shell(part(at), home, { MILLRACE_URL: server.url, MILLRACE_TOKEN: ADMIN_TOKEN });
    });
    afterAll(async () => {
      await server?.stop();
      await database?.drop();
    });

    /** Runs the blocks in one shell, one after the other; files are written where they stand. */
    async function shell(commands: readonly Block[], cwd: string, env: Record<string, string>): Promise<void> {
      const script = blocks
        .filter((block) => commands.includes(block) || (cwd === folder && block.file !== undefined))
        .map(({ file, body }) => (file === undefined ? body : `cat > ${file} <<'THE-FILE'\n${body}THE-FILE\n`))
        .join('\n');
      const { PATH = '', HOME = '' } = process.env;
      const child = spawn('bash', ['-e', '-o', 'pipefail'], {
        cwd,
        env: { PATH, HOME, CHECKOUT: ROOT, XDG_CONFIG_HOME: folder, npm_config_offline: 'true', ...env },
        timeout: 90_000,
      });
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', (data: Buffer) => (printed += data.toString()));
      child.stdin.end(script);
      [code] = (await once(child, 'close')) as [number];
      if (code !== 0) throw new Error(`the commands ended with ${code}:\n${printed}`);
    }

    it('ends with an event in the log', async () => {
      const [, id] = /^202 Accepted\n\{"eventIds":\["(evt_\w{26})"\],"duplicate":false\}$/m.exec(printed) ?? [];
      expect({ id, printed }).toEqual({ id: expect.anything(), printed: expect.anything() });
      const event = await waitFor('the event', () =>
        server.get<{ type: string; source: string }>(`/api/v1/events/${id}`).catch(() => undefined),
      );
      expect(event).toMatchObject({ type: 'pipeline.finished', source: 'shipyard' });
    });

    it('has run the tests of the package', () => {
      expect(printed).toMatch(/[#ℹ] pass 5\d\n[#ℹ] fail 0/);
    });

    it('gives the very requests that the example has', async () => {
      const made = join(folder, 'provider-shipyard/fixtures');
      const names = await readdir(join(EXAMPLE, 'fixtures'));
      expect((await readdir(made)).sort()).toEqual(names.sort());
      for (const name of names)
        expect(await readFile(join(made, name), 'utf8')).toBe(await readFile(join(EXAMPLE, 'fixtures', name), 'utf8'));
    });
  });
});

describe('docs/examples/capture.mjs', () => {
  it('saves a request as it came, byte for byte', async () => {
    const into = join(folder, 'captured');
    await mkdir(into);
    const child = spawn(process.execPath, [join(ROOT, 'docs/examples/capture.mjs'), '0'], { cwd: into });
    try {
      let said = '';
      child.stdout.on('data', (data: Buffer) => (said += data.toString()));
      const url = await waitFor('its address', () => /http:\S+/.exec(said)?.[0]);
      const body = Buffer.from([...Buffer.from('{"a":\r\n\r\n"'), 0xff, 0x00, 0x22, 0x7d]);
      for (const path of ['/first', '/second'])
        await fetch(url + path, {
          method: 'POST',
          body,
          headers: { 'X-Acme-Signature': 'v1=Abc', 'content-type': 'a/b' },
        });
      await waitFor('both files', () => said.includes('saved request-2.http'));
      const saved = parseHttpFile(await readFile(join(into, 'request-1.http')));
      expect(saved).toMatchObject({ method: 'POST', target: '/api/v1/webhooks/inbound/{slug}' });
      expect(Object.fromEntries(saved.headers)).toMatchObject({ 'x-acme-signature': 'v1=Abc', 'content-type': 'a/b' });
      expect(saved.body.equals(body)).toBe(true);
    } finally {
      child.kill();
      await once(child, 'close');
    }
  });
});
