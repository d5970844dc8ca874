import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { main } from '../../../apps/cli/src/main.js';
import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { Receiver } from '../../support/receiver.js';
import { ADMIN_TOKEN, TestServer } from '../../support/server.js';

/** What the first organisation calls its things: nobody else may ever read this word. */
const OURS = 'only-for-the-first-organisation';

let database: TestDatabase;
let receiver: Receiver;
let server: TestServer;
let other: { readonly id: string; readonly token: string };
/** Ids of things of the first organisation, by the part of the path before `{…}`. */
const things = new Map<string, string>();

interface Listed {
  readonly id: string;
}

async function call(
  token: string,
  method: string,
  path: string,
  body?: object,
): Promise<{ status: number; text: string }> {
  const answer = await fetch(server.url + path, {
    method,
    headers: { authorization: `Bearer ${token}`, ...(body && { 'content-type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) }),
  });
  // An answer without an end: it holds what is recorded from now on.
  const isEndless = answer.headers.get('content-type')?.startsWith('text/event-stream') === true;
  if (isEndless) await answer.body?.cancel();
  return { status: answer.status, text: isEndless ? '' : await answer.text() };
}

beforeAll(async () => {
  database = await createTestDatabase();
  receiver = await Receiver.start(() => 200);
  server = await TestServer.start({ databaseUrl: database.url });
  const made = async (noun: string, body: object) =>
    things.set(noun, (await server.post<Listed>(`/api/v1/${noun}`, body)).id);
  other = await server.post('/api/v1/organisations', { name: 'the other' });
  await made('integrations', { name: OURS, provider: 'generic_webhook', secret: OURS });
  await made('outbound-webhooks', { url: `${receiver.url}/${OURS}`, events: ['issue.created'] });
  await made('rules', {
    name: OURS,
    eventType: 'issue.created',
    actions: [{ type: 'create_issue', with: { title: OURS } }],
  });
  await made('agents', { name: OURS, runtime: 'http', config: { url: `${receiver.url}/agent` } });
  await made('issues', { title: OURS });
  await server.call('PUT', `/api/v1/workflows/${OURS}`, {
    source: `name: ${OURS}\ntriggers: [{ type: manual }]\nsteps: [{ id: nap, wait: { for: 1h } }]\n`,
  });
  things.set('workflows', OURS);
  things.set('runs', (await server.post<Listed>(`/api/v1/workflows/${OURS}/runs`, { inputs: {} })).id);
  things.set('tokens', (await server.post<Listed>('/api/v1/tokens', { name: OURS, roles: ['auditor'] })).id);
  things.set('events', (await server.list<Listed>('/api/v1/events?type=issue.created'))[0]!.id);
  await waitFor('the delivery', () => receiver.calls.length > 0);
});
afterAll(async () => {
  await server?.stop();
  await receiver?.stop();
  await database?.drop();
});

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly security?: readonly unknown[] }>>>>;
}
/** Everybody may ask for these: they say nothing about an organisation. */
const PUBLIC =
  /^\/(?:healthz|readyz|metrics|docs|schemas|api\/v1\/openapi\.json|webhooks|api\/webhook|api\/communicator|agents|api\/v1\/webhooks|links|approve)/;

describe('another organisation', () => {
  it('sees nothing of the first in any answer, and changes nothing of it', async () => {
    const { paths } = await server.get<Document>('/api/v1/openapi.json');
    const seen: string[] = [];
    let asked = 0;
    for (const [path, operations] of Object.entries(paths)) {
      if (PUBLIC.test(path)) continue;
      const noun = /^\/api\/v1\/([a-z-]+)/.exec(path)?.[1] ?? '';
      const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
        encodeURIComponent(name === 'eventId' ? things.get('events')! : (things.get(noun) ?? 'nothing')),
      );
      for (const method of Object.keys(operations)) {
        if (!['get', 'post', 'put', 'patch', 'delete'].includes(method)) continue;
        asked++;
        const { status, text } = await call(
          other.token,
          method.toUpperCase(),
          filled,
          method === 'get' ? undefined : {},
        );
        // The name of a workflow stands in the path, and is repeated in the error.
        const isRepeated = status === 404 && noun === 'workflows';
        const isOurs =
          (!isRepeated && text.replaceAll(filled, '').includes(OURS)) ||
          (status < 300 && path.includes('{') && things.has(noun) && noun !== 'workflows');
        if (isOurs || status >= 500) seen.push(`${method} ${filled} answered ${status}: ${text.slice(0, 200)}`);
      }
    }
    expect(seen).toEqual([]);
    expect(asked).toBeGreaterThan(60);
    // Everything is still there.
    for (const [noun, id] of things) expect((await call(ADMIN_TOKEN, 'GET', `/api/v1/${noun}/${id}`)).status).toBe(200);
  });

  it('has its own events, workflows and retries', async () => {
    const { text } = await call(other.token, 'GET', '/api/v1/workflows');
    expect(text).toContain('retry-failed-webhooks');
    await call(other.token, 'POST', '/api/v1/issues', { title: 'theirs' });
    expect((await call(other.token, 'GET', '/api/v1/events?type=issue.created')).text).toContain('theirs');
    expect((await call(ADMIN_TOKEN, 'GET', '/api/v1/events?type=issue.created')).text).not.toContain('theirs');
    expect((await call(ADMIN_TOKEN, 'GET', '/api/v1/organisations')).text).toContain('the other');
    const own = JSON.parse((await call(other.token, 'GET', '/api/v1/organisations')).text) as { data: Listed[] };
    expect(own.data.map(({ id }) => id)).toEqual([other.id]);
    expect((await call(other.token, 'POST', '/api/v1/organisations', { name: 'x' })).status).toBe(403);
  });

  it('shows when a token was used', async () => {
    const { data } = await server.get<{ data: { lastUsedAt: string | null; bootstrap: boolean; name: string }[] }>(
      '/api/v1/tokens',
    );
    expect(data.find(({ bootstrap }) => bootstrap)!.lastUsedAt).toMatch(/^\d{4}-/);
    expect(data.find(({ name }) => name === OURS)!.lastUsedAt).toBeNull();
  });
});

describe('an archived organisation', () => {
  it('is refused everywhere until it is restored, and keeps what it has', async () => {
    const third = await server.post<{ id: string; token: string }>('/api/v1/organisations', { name: 'to archive' });
    const made = JSON.parse(
      (await call(third.token, 'POST', '/api/v1/integrations', { name: 'in', provider: 'generic_webhook' })).text,
    ) as { slug: string };
    const receive = () => call('', 'POST', `/api/v1/webhooks/inbound/${made.slug}`, { n: 1 });
    expect((await receive()).status).toBe(202);
    const path = `/api/v1/organisations/${third.id}`;
    expect((await call(third.token, 'PATCH', path, { archived: true })).status).toBe(403);
    expect((await call(third.token, 'PATCH', path, { name: 'renamed' })).text).toContain('renamed');
    expect((await call(ADMIN_TOKEN, 'DELETE', path)).status).toBe(204);
    expect((await receive()).status).toBe(404);
    const refused = await call(third.token, 'GET', '/api/v1/events');
    expect([refused.status, refused.text]).toEqual([403, expect.stringContaining('organisation.archived')]);
    expect((await call(ADMIN_TOKEN, 'PATCH', path, { archived: false })).status).toBe(200);
    expect((await receive()).status).toBe(202);
    expect((await call(third.token, 'GET', '/api/v1/events?type=webhook.received')).text).toContain('"nextCursor"');
    const { data } = await server.get<{ data: readonly Listed[] }>('/api/v1/organisations');
    expect(data.map(({ id }) => id)).toContain(third.id);
    const first = data.find(({ id }) => id !== third.id && id !== other.id)!;
    expect((await call(ADMIN_TOKEN, 'DELETE', `/api/v1/organisations/${first.id}`)).status).toBe(409);
  });
});

describe('a token that is changed', () => {
  it('has its new roles and expiry at once, and gives nobody more time than it has', async () => {
    const soon = new Date(Date.now() + 3_600_000).toISOString();
    const body = { name: 'short', roles: ['admin'], expiresAt: soon };
    const short = await server.post<{ id: string; token: string }>('/api/v1/tokens', body);
    const reader = await server.post<{ id: string; token: string }>('/api/v1/tokens', {
      name: 'r',
      roles: ['auditor'],
    });
    const change = (token: string, id: string, changes: object) =>
      call(token, 'PATCH', `/api/v1/tokens/${id}`, changes);
    for (const changes of [{ expiresAt: null }, { expiresAt: '2099-01-01T00:00:00Z' }])
      expect((await change(short.token, short.id, changes)).text).toContain('token.outlives_caller');
    expect((await change(short.token, reader.id, { roles: ['admin'] })).status).toBe(403);
    expect((await call(short.token, 'POST', '/api/v1/tokens', { name: 'x', roles: ['admin'] })).status).toBe(403);
    expect((await change(short.token, reader.id, { name: 'reader' })).status).toBe(200);
    expect((await call(reader.token, 'POST', '/api/v1/issues', { title: 'no' })).status).toBe(403);
    expect((await change(ADMIN_TOKEN, reader.id, { roles: ['integrator'], expiresAt: soon })).status).toBe(200);
    expect((await call(reader.token, 'POST', '/api/v1/issues', { title: 'yes' })).status).toBe(201);
    expect((await change(ADMIN_TOKEN, reader.id, { roles: [] })).status).toBe(422);
    expect((await change(ADMIN_TOKEN, reader.id, { expiresAt: 'soon' })).status).toBe(422);
    // The bootstrap token can go once there is another admin, and is changed by nobody.
    const { data } = await server.get<{ data: { id: string; bootstrap: boolean }[] }>('/api/v1/tokens');
    const { id } = data.find(({ bootstrap }) => bootstrap)!;
    expect((await change(short.token, id, { name: 'x' })).text).toContain('token.bootstrap');
    expect((await call(ADMIN_TOKEN, 'DELETE', `/api/v1/tokens/${short.id}`)).status).toBe(204);
    expect((await change(short.token, short.id, {})).status).toBe(401);
  });
});

describe('the command line', () => {
  async function millrace(...args: readonly string[]): Promise<string> {
    let [out, err] = ['', ''];
    const code = await main(args, {
      env: { MILLRACE_URL: server.url, MILLRACE_TOKEN: ADMIN_TOKEN },
      out: { write: (text) => void (out += text), isTTY: false },
      err: { write: (text) => void (err += text), isTTY: false },
    });
    if (code !== 0) throw new Error(`millrace ${args.join(' ')} ended with ${code}: ${err}`);
    return out;
  }
  const parsed = async <T>(...args: readonly string[]): Promise<T> =>
    JSON.parse(await millrace('--json', ...args)) as T;

  it('lists, creates, changes and removes resources', async () => {
    const issue = await parsed<Listed>(
      'issue',
      'create',
      '--title',
      'From the shell',
      '--labels',
      'a',
      '--labels',
      'b',
    );
    expect(await parsed('issue', 'update', issue.id, '--status', 'resolved')).toMatchObject({ status: 'resolved' });
    await millrace('issue', 'comment', issue.id, '--body', 'Done.');
    expect(await millrace('issue', 'view', issue.id)).toContain('From the shell');
    expect(await millrace('--quiet', 'issue', 'ls', '--status', 'resolved')).toContain(issue.id);

    const webhook = await parsed<Listed>(
      ...['outbound-webhook', 'create', '--to', `${receiver.url}/cli`, '--events', 'issue.created'],
      ...['--headers', '{"x-team":"ops"}', '--timeout-ms', '5000'],
    );
    expect(await parsed('outbound-webhook', 'update', webhook.id, '--disabled')).toMatchObject({ disabled: true });
    expect(await parsed('outbound-webhook', 'update', webhook.id, '--enabled')).toMatchObject({ disabled: false });
    await millrace('outbound-webhook', 'test', webhook.id);
    await millrace('outbound-webhook', 'recover', webhook.id, '--since', new Date(Date.now() - 60_000).toISOString());
    await millrace('issue', 'create', '--title', 'For the webhook');
    const delivery = await waitFor('the delivery', async () => {
      const ours = ['--webhook-id', webhook.id, '--type', 'issue.created', '--status', 'success'];
      return (await parsed<Listed[]>('delivery', 'ls', ...ours))[0];
    });
    await millrace('delivery', 'view', delivery.id);
    await millrace('delivery', 'redeliver', delivery.id);
    await millrace('outbound-webhook', 'rm', webhook.id);

    const token = await parsed<Listed>('token', 'create', '--name', 'shell', '--roles', 'auditor');
    expect(await millrace('token', 'ls')).toContain('shell');
    const changes = ['--roles', 'auditor', '--roles', 'designer', '--expires-at', 'never'];
    expect(await parsed('token', 'update', token.id, ...changes)).toMatchObject({ roles: ['auditor', 'designer'] });
    await millrace('token', 'rm', token.id);
    expect(await millrace('token', 'ls')).not.toContain(token.id);
    const third = await parsed<Listed>('organisation', 'create', '--name', 'third');
    expect(await parsed('organisation', 'update', third.id, '--name', 'third one')).toMatchObject({
      name: 'third one',
    });
    await millrace('organisation', 'rm', third.id);
    expect(await parsed('organisation', 'view', third.id)).toMatchObject({ archived: true });
    expect(await parsed('organisation', 'restore', third.id)).toMatchObject({ archived: false });
    expect(await millrace('organisation', 'ls')).toContain('third');
    for (const noun of ['message', 'subscriber']) await millrace(noun, 'ls');
  });
});
