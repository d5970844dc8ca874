import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { ADMIN_TOKEN, ROOT, TestServer } from '../../support/server.js';

/** A package outside the repository that connects a system nobody knew: what its author does, in a folder of its own. */
let folder: string;
let database: TestDatabase;

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}
const run = (command: string, args: readonly string[], env: Record<string, string> = {}): Promise<Ran> =>
  new Promise((resolve) => {
    const { PATH = '', HOME = '' } = process.env;
    const options = { cwd: folder, env: { PATH, HOME, XDG_CONFIG_HOME: folder, ...env } };
    execFile(command, args, options, (error, out, err) => {
      const { code } = (error ?? { code: 0 }) as { code?: unknown };
      resolve({ code: typeof code === 'number' ? code : -1, out, err });
    });
  });

beforeAll(async () => {
  folder = join(await mkdtemp(join(tmpdir(), 'millrace-plugin-')), 'shipyard');
  await cp(join(ROOT, 'docs/examples/provider-shipyard'), folder, { recursive: true });
  const installed = await run('npm', ['install', '--no-save', '--offline', '--no-audit', '--no-fund', ROOT]);
  if (installed.code !== 0) throw new Error(installed.err);
  database = await createTestDatabase();
});
afterAll(async () => {
  await database.drop();
  await rm(join(folder, '..'), { recursive: true, force: true });
});

describe('the package of a third party', () => {
  it('runs its own tests with the kit', async () => {
    const { code, out } = await run('npm', ['test']);
    expect({ code, out }).toMatchObject({ code: 0, out: expect.stringMatching(/[#ℹ] pass [4-9]\d\n[#ℹ] fail 0/) });
  });

  it('is told by the kit when it is broken', async () => {
    const broken = join(folder, 'broken');
    await mkdir(broken);
    for (const name of ['index.js', 'shipyard.test.js', 'fixtures', 'package.json'])
      await cp(join(folder, name), join(broken, name), { recursive: true });
    const source = await readFile(join(broken, 'index.js'), 'utf8');
    await writeFile(join(broken, 'index.js'), source.replace('withinTolerance(sentAt, context.now)', 'true'));
    const { code, out } = await run('node', ['--test', '--test-reporter=tap', broken]);
    expect(code).toBe(1);
    expect(out).toMatch(/not ok \d+ - deploy-finished.http is refused as stale ten minutes before and after/);
    expect(out).toMatch(/\n *ok \d+ - deploy-finished.http is believed\n/);
    await rm(broken, { recursive: true });
  });

  it('may be written in TypeScript: providers, and actions whose input is typed by its schema', async () => {
    const source = `
      import { defineProvider, fieldsOf, textOf, verifyHmac, type Provider } from 'millrace/plugin-sdk';
      import { describeProvider } from 'millrace/plugin-sdk/testing';
      export const acme: Provider = defineProvider({
        name: 'acme',
        description: 'x',
        verify: (request, context) => verifyHmac(request, context, { header: 'x-acme' }),
        normalise: ({ value }) => {
          const eventType: string | undefined = textOf(fieldsOf(value)['type']);
          return { eventType: eventType ?? 'unknown', events: [] };
        },
      });
      // @ts-expect-error: it has to be a text
      acme.name satisfies number;
      describeProvider({ provider: acme, fixtures: new URL('fixtures/', import.meta.url), secret: 's', expected: {} });`;
    await writeFile(join(folder, 'acme.ts'), source);
    const action = `
      import { defineAction, definePlugin, type Plugin, Type } from 'millrace/plugin-sdk';
      const page = defineAction({
        name: 'page',
        description: 'x',
        inputSchema: Type.Object({ team: Type.String(), minutes: Type.Optional(Type.Integer()) }),
        run: async ({ team, minutes = 5 }, { idempotencyKey, http }) => {
          team satisfies string;
          minutes satisfies number;
          // @ts-expect-error: it is a text
          idempotencyKey satisfies number;
          return typeof http.request;
        },
      });
      export default definePlugin({ name: 'x', sdk: 1, actions: [page] }) satisfies Plugin;`;
    await writeFile(join(folder, 'page.ts'), action);
    const options = {
      compilerOptions: {
        target: 'es2022',
        module: 'nodenext',
        strict: true,
        noEmit: true,
        skipLibCheck: true,
        types: ['node'],
        typeRoots: [join(ROOT, 'node_modules/@types')],
      },
      include: ['acme.ts', 'page.ts'],
    };
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(options));
    const { out } = await run('node', [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', folder]);
    expect(out).toBe('');
  });

  it.each([
    ['while it is loaded', 'process.exit(0);', /MILLRACE_PLUGINS: The plug-in .*exits.mjs.*process.exit/],
    ['after it was loaded', 'setTimeout(() => process.exit(0), 1);', /ended by a plug-in.*exits.mjs/s],
  ])('is named, with its stack, where it calls process.exit %s: the exit code is 1', async (_, call, said) => {
    const module = join(folder, 'exits.mjs');
    await writeFile(module, `${call}\nexport default { name: 'exits', sdk: 1 };\n`);
    const server = await TestServer.start({
      databaseUrl: database.url,
      env: { MILLRACE_PLUGINS: module },
      waitUntilReady: false,
    });
    expect(await server.exit()).toBe(1);
    expect(server.output).toMatch(said);
    await server.stop();
  });

  it('is loaded by its folder, and what it understands goes through the platform', async () => {
    const server = await TestServer.start({ databaseUrl: database.url, env: { MILLRACE_PLUGINS: folder } });
    try {
      const contents = {
        name: 'millrace-provider-shipyard',
        providers: ['shipyard'],
        presets: [],
        steps: [],
        actions: [],
      };
      expect((await server.get<{ data: unknown[] }>('/api/v1/plugins')).data).toContainEqual(contents);
      expect(server.output).toContain(JSON.stringify({ ...contents, msg: 'plug-in loaded' }).slice(1));
      const { slug } = await server.post<{ slug: string }>('/api/v1/integrations', {
        name: 'the yard',
        provider: 'shipyard',
        secret: 'what both sides know',
      });
      await server.post('/api/v1/rules', {
        name: 'a deploy failed',
        enabled: true,
        eventSource: 'shipyard',
        eventType: 'pipeline.finished',
        conditions: { field: 'data.pipeline.status', operator: 'equals', value: 'failure' },
        actions: [{ type: 'create_issue', with: { title: 'Deploy of ${{ data.repository.fullName }} failed' } }],
      });
      const millrace = (...args: string[]) =>
        run(join(folder, 'node_modules/.bin/millrace'), args, {
          MILLRACE_URL: server.url,
          MILLRACE_SECRET: 'what both sides know',
          MILLRACE_PLUGINS: folder,
        });

      const old = await millrace('send', 'fixtures/deploy-failed.http', '--to', slug);
      expect(old).toMatchObject({ code: 1, out: expect.stringMatching(/^401 Unauthorized\n.*signature_mismatch/) });

      const sent = await millrace('--quiet', 'send', 'fixtures/deploy-failed.http', '--to', slug, '--sign', 'shipyard');
      expect(sent).toMatchObject({ code: 0, out: expect.stringMatching(/^evt_\w{26}\n$/) });
      const event = await waitFor('the event', () =>
        server.get<{ data: object }>(`/api/v1/events/${sent.out.trim()}`).catch(() => undefined),
      );
      expect(event).toMatchObject({
        type: 'pipeline.finished',
        source: 'shipyard',
        subject: 'repository/acme/site',
        timestamp: '2026-11-20T13:14:13.000Z',
        data: { deliveryId: 'dep-82', pipeline: { status: 'failure' }, author: { username: 'grace' } },
      });
      const again = await millrace('--json', 'send', 'fixtures/deploy-failed.http', '--to', slug, '--sign', 'shipyard');
      expect(JSON.parse(again.out)).toMatchObject({ status: 202, body: { duplicate: true } });
      const issues = await waitFor('the issue', async () => {
        const found = await server.list<{ title: string }>('/api/v1/issues');
        return found.length > 0 && found;
      });
      expect(issues).toEqual([expect.objectContaining({ title: 'Deploy of acme/site failed' })]);
    } finally {
      await server.stop();
    }
  });
});

describe('a plug-in that cannot be used ends the start, with its name and the reason', () => {
  const provider = (name: string, more = '') =>
    `{ name: '${name}', description: 'x', verify: () => ({ ok: true, authentication: 'slug' }), normalise: () => ({ eventType: 'x', events: [] }), ${more} }`;
  const plugin = (providers: string) => `export default { name: 'acme', sdk: 1, providers: [${providers}] };`;

  it.each<[string, string, RegExp]>([
    ['has the name of a built-in provider', plugin(provider('github')), /acme .*provider github exists already/],
    [
      'is for another sdk',
      `export default { name: 'acme', sdk: 9 };`,
      /acme [(]\S*bad.mjs[)] .*written for sdk 9, but this server has sdk 1/,
    ],
    ['is no module', 'export default {', /module cannot be loaded: /],
    [
      'has an async normalise',
      plugin(provider('acme', 'async normalise() {}')),
      /normalise of its provider acme must not be async/,
    ],
    [
      'has a getter that throws',
      plugin('{ get name() { throw new Error("later"); } }'),
      /throws while it is checked: later/,
    ],
  ])('%s', async (_, source, reason) => {
    const good = join(folder, 'good.mjs');
    const bad = join(folder, 'bad.mjs');
    await writeFile(good, plugin(provider('fine')));
    await writeFile(bad, source);
    const untouched = await createTestDatabase();
    const data = await mkdtemp(join(tmpdir(), 'millrace-data-'));
    const server = await TestServer.start({
      databaseUrl: untouched.url,
      dataDir: data,
      waitUntilReady: false,
      // The good one comes first: it must not be there by halves either.
      env: { MILLRACE_PLUGINS: `${good},${bad}` },
    });
    try {
      expect(await server.exit()).toBe(1);
      expect(server.output).toMatch(/Millrace cannot start: MILLRACE_PLUGINS: The plug-in /);
      expect(server.output).toMatch(reason);
      expect(server.output).not.toContain(ADMIN_TOKEN);
      expect(server.output).not.toMatch(/\n\s+at /);
      // Nothing was begun that a next start would find.
      expect(await readdir(data)).toEqual([]);
    } finally {
      await server.stop();
      await untouched.drop();
      await rm(data, { recursive: true, force: true });
    }
  });
});
