import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { main } from './main.js';
import type { Output } from './terminal.js';

/** The program against something that answers as it is told. */
let server: Server;
let url: string;
let home: string;
let answer: (request: IncomingMessage, response: ServerResponse) => void;
let asked: { url: string | undefined; authorization: string | undefined }[] = [];

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'millrace-cli-'));
  await mkdir(join(home, 'millrace'));
  server = createServer((request, response) => {
    asked.push({ url: request.url, authorization: request.headers.authorization });
    answer(request, response);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await rm(home, { recursive: true, force: true });
});

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}
async function millrace(args: readonly string[], env: Record<string, string> = {}, terminal = false): Promise<Ran> {
  asked = [];
  let [out, err] = ['', ''];
  const screen = (write: (text: string) => unknown): Output => ({ write, isTTY: terminal, columns: 40 });
  const code = await main(args, {
    env: { MILLRACE_URL: url, XDG_CONFIG_HOME: home, ...env },
    out: screen((text) => (out += text)),
    err: screen((text) => (err += text)),
  });
  return { code, out, err };
}
const json =
  (status: number, body: object): typeof answer =>
  (_, response) =>
    void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
const profiles = (text: string): Promise<void> => writeFile(join(home, 'millrace/profiles.json'), text);

const rule = {
  id: 'rul_01',
  name: 'a rule',
  status: 'enabled',
  version: 2,
  eventSource: '*',
  eventType: 'git.push',
  updatedAt: '2026-11-20T13:14:15.123Z',
};
const some = json(200, { data: [rule], nextCursor: null });

describe('millrace', () => {
  it('takes server and token from flags, else the environment, else the profile', async () => {
    answer = some;
    await profiles(JSON.stringify({ default: { url, token: 'mr_profile' }, other: { url, token: 'mr_other' } }));
    const tokenWith = async (args: string[], env: Record<string, string>) => {
      const { code, err } = await millrace([...args, 'rule', 'ls'], env);
      expect({ code, err }).toEqual({ code: 0, err: '' });
      return asked[0]!.authorization;
    };
    expect(await tokenWith(['--token', 'mr_flag'], { MILLRACE_TOKEN: 'mr_env' })).toBe('Bearer mr_flag');
    expect(await tokenWith([], { MILLRACE_TOKEN: 'mr_env' })).toBe('Bearer mr_env');
    expect(await tokenWith([], {})).toBe('Bearer mr_profile');
    expect(await tokenWith(['--profile', 'other'], {})).toBe('Bearer mr_other');
    expect(await tokenWith([], { MILLRACE_PROFILE: 'other' })).toBe('Bearer mr_other');
    // A slash at the end of an address is no part of it.
    await millrace(['--url', `${url}/`, 'rule', 'ls'], { MILLRACE_URL: 'http://127.0.0.1:1' });
    expect(asked[0]!.url).toMatch(/^\/api\/v1\/rules/);
  });

  it.each([
    ['there is no such profile', '{}', ['--profile', 'mine'], /There is no profile "mine" in .*profiles[.]json: write/],
    ['the profile is no object', '{ "default": 7 }', [], /There is no profile "default"/],
    ['the file of profiles is not JSON', '{', [], /profiles[.]json is not JSON/],
    ['the token is a placeholder', '{}', ['--token', 'mr_…'], /The API token must have .*Paste the whole token/],
    ['the address is none', '{}', ['--url', 'localhost:3000'], /localhost:3000 must be the URL of a server/],
  ])('ends with 2 if %s', async (_, text, args, said) => {
    await profiles(text);
    const { code, out, err } = await millrace([...args, 'rule', 'ls']);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(said);
    await profiles('{}');
  });

  it('prints tables for people, JSON for programs, ids for scripts', async () => {
    answer = some;
    expect((await millrace(['rule', 'ls'])).out).toBe(
      [
        'ID      NAME    STATUS   VERSION  SOURCE  TYPE      CHANGED',
        'rul_01  a rule  enabled  2        *       git.push  2026-11-20T13:14:15.123Z',
        '',
      ].join('\n'),
    );
    expect(JSON.parse((await millrace(['--json', 'rule', 'ls'])).out)).toEqual([rule]);
    expect((await millrace(['--quiet', 'rule', 'ls'])).out).toBe('rul_01\n');
  });

  it('has colours on a terminal alone, and not where they are not wanted', async () => {
    answer = some;
    const coloured = async (args: string[], env: Record<string, string>, terminal: boolean) =>
      (await millrace([...args, 'rule', 'ls'], env, terminal)).out.includes('\u001b[');
    expect(await coloured([], {}, true)).toBe(true);
    expect(await coloured([], {}, false)).toBe(false);
    expect(await coloured(['--no-color'], {}, true)).toBe(false);
    expect(await coloured([], { NO_COLOR: '1' }, true)).toBe(false);
  });

  it('ends with 1 where the server says no, with the code, the place and what to do', async () => {
    answer = json(422, {
      code: 'rule.invalid',
      detail: 'The rule is not as it should be.',
      errors: [
        { pointer: '/conditions/0', detail: 'operator is missing: equals, in …' },
        { pointer: '', detail: 'too large' },
      ],
    });
    expect(await millrace(['rule', 'view', 'rul_01'])).toEqual({
      code: 1,
      out: '',
      err: 'The rule is not as it should be. (rule.invalid)\n  /conditions/0: operator is missing: equals, in …\n  (whole): too large\n',
    });
    answer = json(401, { code: 'token.missing', detail: 'Who are you?' });
    expect((await millrace(['rule', 'ls'])).err).toMatch(/^Who are you[?] [(]token[.]missing[)]\nSet a token: --token/);
    answer = (_, response) => void response.writeHead(502, { 'content-type': 'text/html' }).end('<h1>Bad Gateway</h1>');
    expect(await millrace(['rule', 'ls'])).toMatchObject({ code: 1, err: expect.stringContaining('502: <h1>Bad') });
  });

  it('ends with 3 where nobody answers, or the connection breaks', async () => {
    expect(await millrace(['--url', 'http://127.0.0.1:1', 'rule', 'ls'])).toMatchObject({
      code: 3,
      out: '',
      err: expect.stringMatching(
        /No Millrace server answered at http:\/\/127[.]0[.]0[.]1:1 .*Check that the server runs/,
      ),
    });
    answer = (_, response) => void response.destroy();
    expect(await millrace(['rule', 'ls'])).toMatchObject({ code: 3 });
  });

  it('exports what comes, and ends with 3 where the rest does not', async () => {
    const yaml = '---\n# rul_01\nname: a rule\neventType: git.push\n';
    answer = (_, response) => void response.writeHead(200, { 'content-type': 'application/yaml' }).end(yaml);
    expect(await millrace(['rule', 'export'])).toEqual({ code: 0, out: yaml, err: '' });
    expect(asked.map((one) => one.url)).toEqual(['/api/v1/rules']);
    answer = (_, response) => {
      response.writeHead(200, { 'content-type': 'application/yaml' });
      response.write(yaml + yaml, () => response.destroy());
    };
    const { code, err } = await millrace(['rule', 'export']);
    expect({ code, err }).toEqual({
      code: 3,
      err: expect.stringMatching(/^The answer is incomplete: the connection closed/),
    });
    answer = json(403, { code: 'token.role', detail: 'No.' });
    expect(await millrace(['rule', 'export'])).toMatchObject({ code: 1, out: '', err: 'No. (token.role)\n' });
  });

  it('ends with 2 for what it does not know, and says what is near', async () => {
    expect(await millrace(['integratio', 'ls'])).toMatchObject({
      code: 2,
      err: expect.stringMatching(/Did you mean integration/),
    });
    expect(await millrace(['rule', 'ls', '--stat', 'x'])).toMatchObject({
      code: 2,
      err: expect.stringMatching(/unknown option '--stat'[^]*--status/),
    });
    expect(await millrace(['send'])).toMatchObject({ code: 2, err: expect.stringMatching(/missing.*file/) });
    expect(asked).toEqual([]);
  });

  it('shows help as what was asked for', async () => {
    const { code, out, err } = await millrace(['--help']);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    for (const word of ['rule', 'apply', 'send', 'MILLRACE_URL', 'profiles.json']) expect(out).toContain(word);
  });
});
