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
    await millrace('token', 'rm', token.id);
    expect(await millrace('token', 'ls')).not.toContain(token.id);
    expect(await parsed('organisation', 'create', '--name', 'third')).toMatchObject({ name: 'third' });
    expect(await millrace('organisation', 'ls')).toContain('third');
    for (const noun of ['message', 'subscriber']) await millrace(noun, 'ls');
  });
});
