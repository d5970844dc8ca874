import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { main } from '#apps/cli/src/main.js';
import { parseHttpFile } from '#libs/plugin-sdk/src/http-file.js';

import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { ROOT, TestServer } from '../../support/server.js';

let server: TestServer;
let database: TestDatabase;
let folder: string;

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** The program as it runs, against the server, in this process. */
async function millrace(args: readonly string[], env: Record<string, string> = {}): Promise<Ran> {
  let [out, err] = ['', ''];
  const code = await main(args, {
    env: { MILLRACE_URL: server.url, XDG_CONFIG_HOME: folder, ...env },
    out: { write: (text) => (out += text) },
    err: { write: (text) => (err += text) },
  });
  return { code, out, err };
}
const fixture = (name: string): string => join(ROOT, 'libs/providers/fixtures', `${name}.http`);
const SECRET = 'whsec_c2VuZC1lMmUtc2VjcmV0LW9mLWJvdGgtc2lkZXM=';

async function integration(provider: string, more: object = {}): Promise<{ id: string; slug: string }> {
  return server.post('/api/v1/integrations', { name: provider, provider, secret: SECRET, ...more });
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-send-'));
  database = await createTestDatabase();
  server = await TestServer.start({ databaseUrl: database.url });
});
afterAll(async () => {
  await server.stop();
  await database.drop();
  await rm(folder, { recursive: true, force: true });
});

describe('millrace send', () => {
  it.each([
    ['github', 'github/push', 202, {}],
    ['gitlab', 'gitlab-signed/push', 202, {}],
    ['slack', 'slack/slash-command', 200, {}],
    ['standard_webhooks', 'standard_webhooks/unknown-type', 202, {}],
    ['cloudevents', 'cloudevents/batch', 202, {}],
    ['generic_webhook', 'generic_webhook/form', 202, {}],
    ['generic_webhook', 'generic_webhook/lines', 202, { config: { bearer: true } }],
  ])('signs a saved request of %s anew, so that the server believes it', async (provider, file, status, more) => {
    const { id, slug } = await integration(provider, more);
    const config = 'config' in more ? ['--config', 'bearer=true'] : [];
    const signed = ['send', fixture(file), '--sign', provider, ...config];
    expect(await millrace(['send', fixture(file), '--to', slug])).toMatchObject({
      code: 1,
      out: expect.stringMatching(/^401 Unauthorized\n/),
    });
    // Whatever the file calls it: both name the same integration.
    for (const to of [slug, id]) {
      const { code, out, err } = await millrace([...signed, '--to', to], { MILLRACE_SECRET: SECRET });
      expect({ code, err, out }).toMatchObject({
        code: 0,
        err: '',
        // The answer of a chat has no body: the events are named all the same.
        out: expect.stringMatching(new RegExp(`^${status} .*evt_[0-9a-z]{26}`, 's')),
      });
    }
    // And is the secret what did it?
    const wrong = await millrace([...signed, '--to', slug], { MILLRACE_SECRET: SECRET.replace('c2Vu', 'c2Vv') });
    expect(wrong).toMatchObject({ code: 1, out: expect.stringMatching(/^401 /) });
  });

  it.each([
    ['gitlab', 'gitlab/push', []],
    ['generic_webhook', 'generic_webhook-bearer/alert', ['--config', 'bearer=true']],
  ])('shows a secret with any letters as a sender of %s does, in UTF-8', async (provider, file, config) => {
    const secret = 'geheim-ä-秘密-à';
    const { slug } = await integration(provider, { secret, ...(config.length > 0 && { config: { bearer: true } }) });
    const sign = [fixture(file), '--sign', provider, ...config];
    const env = { MILLRACE_SECRET: secret };
    expect(await millrace(['send', ...sign, '--to', slug], env)).toMatchObject({ code: 0, err: '' });
    // Saved and sent as it is, it is the same.
    const saved = join(folder, `${provider}.http`);
    await millrace(['send', ...sign, '--save', saved], env);
    expect((await readFile(saved)).includes(Buffer.from(`${secret}\n`))).toBe(true);
    expect(await millrace(['send', saved, '--to', slug])).toMatchObject({ code: 0 });
    const given = ['--header', provider === 'gitlab' ? `X-Gitlab-Token: ${secret}` : `Authorization: Bearer ${secret}`];
    expect(await millrace(['send', fixture(file), '--to', slug, ...given])).toMatchObject({ code: 0 });
  });

  it('sends exactly what is in the file where it is not to be signed', async () => {
    const { slug } = await integration('github', { secret: 'github-fixture-secret' });
    const sent = await millrace(['--json', 'send', fixture('github/push'), '--to', slug]);
    const { status, body } = JSON.parse(sent.out) as { status: number; body: { eventIds: string[] } };
    expect({ code: sent.code, status }).toEqual({ code: 0, status: 202 });
    const event = await server.get<{ data: { payload: object } }>(`/api/v1/events/${body.eventIds[0]}`);
    const saved = parseHttpFile(await readFile(fixture('github/push')));
    expect(event.data.payload).toEqual(JSON.parse(saved.body.toString()));
  });

  it('sends it several times, and says how many were refused', async () => {
    const { slug } = await integration('generic_webhook', { rateLimit: 3 });
    const args = ['--quiet', 'send', fixture('generic_webhook/alert'), '--to', slug];
    const { code, out, err } = await millrace(
      [...args, '--sign', 'generic_webhook', '--secret', SECRET, '--repeat', '5'],
      {},
    );
    const lines = out.trim().split('\n');
    expect(lines).toHaveLength(5);
    // One delivery id: one event, however often.
    expect(new Set(lines.slice(0, 3)).size).toBe(1);
    expect(lines[0]).toMatch(/^evt_/);
    expect(lines.slice(3)).toEqual(['429', '429']);
    expect({ code, err }).toEqual({ code: 1, err: '5 sent, 2 refused\n' });
  });

  it('takes other headers, and leaves out those without a value', async () => {
    const { slug } = await integration('generic_webhook');
    const ids = [];
    for (const key of ['one', 'two', '']) {
      const { out } = await millrace(
        [
          '--quiet',
          'send',
          fixture('generic_webhook/alert'),
          '--to',
          slug,
          '--header',
          `Idempotency-Key: ${key}`,
        ].concat(['--sign', 'generic_webhook', '--secret', SECRET, '--header', 'X-Event-Type: drill']),
      );
      ids.push(out.trim());
    }
    expect(new Set(ids).size).toBe(3);
    expect(await server.get(`/api/v1/events/${ids[1]}`)).toMatchObject({
      data: { deliveryId: 'two', eventType: 'drill' },
    });
    const bare = await server.get<{ data: { deliveryId: string } }>(`/api/v1/events/${ids[2]}`);
    expect(bare.data.deliveryId).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('sends to another path, and to a whole URL', async () => {
    const { slug } = await integration('generic_webhook', { customPath: 'send-here' });
    const sign = ['--sign', 'generic_webhook', '--secret', SECRET];
    const file = fixture('generic_webhook/no-id');
    const custom = await millrace(['send', file, '--to', '/api/webhook/send-here', ...sign]);
    expect(custom).toMatchObject({ code: 0, out: expect.stringMatching(/^200 OK\n\{"success":true/) });
    const url = `${server.url}/api/v1/webhooks/inbound/${slug}`;
    expect(await millrace(['send', file, '--to', url, ...sign], { MILLRACE_URL: 'http://127.0.0.1:1' })).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^202 Accepted\n/),
    });
  });

  it('saves the signed request in place of sending it', async () => {
    const saved = join(folder, 'saved.http');
    const args = ['send', fixture('slack/message'), '--sign', 'slack', '--secret', 's', '--save', saved];
    expect(await millrace([...args, '--at', '2026-11-20T13:14:15Z'])).toEqual({
      code: 0,
      out: '',
      err: `saved as ${saved}\n`,
    });
    const before = parseHttpFile(await readFile(fixture('slack/message')));
    const after = parseHttpFile(await readFile(saved));
    expect(after.body.equals(before.body)).toBe(true);
    expect(after.target).toBe(before.target);
    const headers = Object.fromEntries(after.headers);
    expect(headers['x-slack-request-timestamp']).toBe(String(Date.UTC(2026, 10, 20, 13, 14, 15) / 1000));
    expect(headers['x-slack-signature']).not.toBe(Object.fromEntries(before.headers)['x-slack-signature']);
  });

  it.each([
    ['there is no such file', ['nowhere.http'], /nowhere[.]http cannot be read: ENOENT/],
    ['nobody says to whom', [fixture('github/push')], /leaves \{(id|slug)\} open: set --to to a slug/],
    [
      'nobody knows the provider',
      [fixture('github/push'), '--to', 'x', '--sign', 'gitbub'],
      /no provider or preset gitbub[.] Did you mean "github"[?]/,
    ],
    [
      'there is no secret',
      [fixture('github/push'), '--to', 'x', '--sign', 'github'],
      /needs the secret .*MILLRACE_SECRET/,
    ],
    [
      'it cannot be signed',
      [fixture('github/push'), '--to', 'x', '--sign', 'botframework'],
      /botframework cannot be signed/,
    ],
    [
      'it is to be sent no times',
      [fixture('github/push'), '--to', 'x', '--repeat', '0'],
      /--repeat must be a whole number/,
    ],
    [
      'a header has no name',
      [fixture('github/push'), '--to', 'x', '--header', 'naught'],
      /--header must be "name: value"/,
    ],
    [
      'the time is none',
      [fixture('github/push'), '--to', 'x', '--sign', 'github', '--secret', 's', '--at', 'noon'],
      /--at must be a time such as/,
    ],
    [
      'a plug-in cannot be loaded',
      [fixture('github/push'), '--to', 'x', '--sign', 'acme', '--plugins', './acme-plugin'],
      /plug-in [.]\/acme-plugin cannot be used/,
    ],
    ['an option is misspelt', [fixture('github/push'), '--sing', 'github'], /unknown option '--sing'[^]*--sign/],
  ])('ends with 2 and says what to do if %s', async (_, args, said) => {
    const { code, out, err } = await millrace(['send', ...args]);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(said);
  });

  it('names the line of a file that is none', async () => {
    const path = join(folder, 'broken.http');
    await writeFile(path, 'POST /x HTTP/1.1\ncontent-type application/json\n\n{}');
    expect(await millrace(['send', path])).toEqual({
      code: 2,
      out: '',
      err: `${path}:2: write a header as name: value\n`,
    });
  });

  it('ends with 3 where no server answers, without a secret in its words', async () => {
    const args = ['send', fixture('github/push'), '--to', 'x', '--sign', 'github', '--secret', 'do-not-tell'];
    const { code, out, err } = await millrace(args, { MILLRACE_URL: 'http://127.0.0.1:1' });
    expect({ code, out }).toEqual({ code: 3, out: '' });
    expect(err).toMatch(/127[.]0[.]0[.]1:1.*ECONNREFUSED/);
    expect(err).not.toContain('do-not-tell');
  });
});
