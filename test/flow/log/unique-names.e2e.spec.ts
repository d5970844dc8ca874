import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { ADMIN_TOKEN, TestServer } from '../../support/server.js';

const env = { MILLRACE_SECRET_KEY: Buffer.alloc(32, 7).toString('base64') };
const request = (server: TestServer, method: string, path: string, body?: object) =>
  fetch(server.url + path, {
    method,
    headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' },
    ...(body && { body: JSON.stringify(body) }),
  });

type Creation = readonly [url: string, body: object];
const agent = (name: string): Creation => [
  '/api/v1/agents',
  { name, runtime: 'http', config: { url: 'https://a.example/' } },
];
const path = (customPath: string): Creation => [
  '/api/v1/integrations',
  { name: 'named', provider: 'generic_webhook', customPath },
];

describe('names that only one can have, on two servers with one log', () => {
  let database: TestDatabase;
  let servers: TestServer[];
  beforeAll(async () => {
    database = await createTestDatabase();
    const start = () => TestServer.start({ databaseUrl: database.url, env });
    servers = [await start(), await start()];
  }, 120_000);
  afterAll(async () => {
    await Promise.all(servers.map((server) => server.stop()));
    await database.drop();
  });

  /** Ten at once, five of each server. */
  const tenOf = async (method: string, [url, body]: Creation, urls: readonly string[] = []) => {
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, n) => request(servers[n % 2]!, method, urls[n] ?? url, body)),
    );
    const bodies = (await Promise.all(answers.map((answer) => answer.json()))) as { id?: string; code?: string }[];
    return answers.map(({ status }, n) => ({ status, ...bodies[n] }));
  };
  const statuses = (answers: readonly { status: number }[]) => answers.map(({ status }) => status).sort();

  it.each([
    ['agents of one name', agent, 'agent.name_taken'],
    ['integrations with one custom path', path, 'integration.path_taken'],
  ] as const)('of ten concurrent creations of %s one is answered 201 and nine 409', async (_, thing, code) => {
    const answers = await tenOf('POST', thing('one-of-ten'));
    expect(statuses(answers)).toEqual([201, ...Array.from({ length: 9 }, () => 409)]);
    expect(new Set(answers.filter(({ status }) => status === 409).map((answer) => answer.code))).toEqual(
      new Set([code]),
    );
    // Removed, the name is free, and again for one.
    const { id } = answers.find(({ status }) => status === 201)!;
    expect((await request(servers[0]!, 'DELETE', `${thing('')[0]}/${id}`)).status).toBe(204);
    expect(statuses(await tenOf('POST', thing('one-of-ten')))).toEqual([201, ...Array.from({ length: 9 }, () => 409)]);
  });

  it('of ten that are renamed at once, one gets the name', async () => {
    const made = await Promise.all(
      Array.from({ length: 10 }, (_, n) => servers[n % 2]!.post<{ id: string }>(...agent(`before-${n}`))),
    );
    const urls = made.map(({ id }) => `/api/v1/agents/${id}`);
    // Each server knows of all ten.
    for (const url of urls) for (const server of servers) await server.get(url);
    const answers = await tenOf('PATCH', ['', { name: 'after' }], urls);
    expect(statuses(answers)).toEqual([200, ...Array.from({ length: 9 }, () => 409)]);
    // The name that was given up is free.
    const former = `before-${answers.findIndex(({ status }) => status === 200)}`;
    expect((await request(servers[1]!, 'POST', ...agent(former))).status).toBe(201);
  });

  it.each([
    ['agent', agent],
    ['custom path', path],
  ] as const)('the name of an %s is free after its server died between reserving and taking it', async (_, thing) => {
    const dying = await TestServer.start({
      databaseUrl: database.url,
      env: { ...env, MILLRACE_CRASH_AT: 'names.reserved' },
    });
    await expect(request(dying, 'POST', ...thing('orphan'))).rejects.toThrow();
    await dying.exit();
    expect((await request(servers[0]!, 'POST', ...thing('orphan'))).status).toBe(201);
    expect((await request(servers[1]!, 'POST', ...thing('orphan'))).status).toBe(409);
    await dying.stop();
  });
});
