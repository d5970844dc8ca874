import { stat } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Ajv } from 'ajv';

import { ADMIN_TOKEN, TestServer } from '../../support/server.js';

interface Operation {
  readonly operationId: string;
  readonly security?: readonly object[];
  readonly 'x-roles'?: readonly string[];
  readonly responses: Record<string, { content?: Record<string, { schema?: object }> }>;
  readonly parameters?: readonly { name: string; in: string }[];
}
interface Document {
  readonly openapi: string;
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: { schemas: Record<string, object>; securitySchemes: Record<string, object> };
}
interface Token {
  readonly id: string;
  readonly token: string;
}
const METHODS = ['get', 'post', 'put', 'patch', 'delete'];

describe('the server', () => {
  let server: TestServer;
  let document: Document;
  let routes: readonly { method: string; path: string; operation: Operation }[];
  const ask = (method: string, path: string, token?: string, body?: unknown, headers: Record<string, string> = {}) =>
    fetch(server.url + path, {
      method,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  const tokenFor = async (...roles: string[]) => server.post<Token>('/api/v1/tokens', { name: roles.join(), roles });

  beforeAll(async () => {
    server = await TestServer.start();
    document = (await (await ask('GET', '/api/v1/openapi.json')).json()) as Document;
    routes = Object.entries(document.paths).flatMap(([path, operations]) =>
      Object.entries(operations)
        .filter(([method]) => METHODS.includes(method))
        .map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
    );
  });
  afterAll(async () => {
    await server.stop();
  });
  const filled = (path: string) => path.replace(/\{[^}]+\}/g, 'nothing');
  const isOpen = ({ operation }: { operation: Operation }) => operation.security?.length === 0;

  describe('describes itself', () => {
    it('as OpenAPI 3.1, with problems for every operation and a name of its own for each', () => {
      expect(document.openapi).toBe('3.1.0');
      expect(routes.length).toBeGreaterThan(40);
      for (const { operation } of routes)
        expect(Object.keys(operation.responses['default']?.content ?? {})).toEqual(['application/problem+json']);
      const ids = routes.map(({ operation }) => operation.operationId);
      expect(new Set(ids).size).toBe(ids.length);
    });

    it('with a schema for every answer of the API that has a body', () => {
      const answers = routes
        .filter(({ path }) => path.startsWith('/api/v1/'))
        .map(({ method, path, operation }) => {
          const succeeded = Object.entries(operation.responses).filter(([status]) => status.startsWith('2'));
          const content = succeeded.flatMap(([status, answer]) =>
            status === '204' ? [] : Object.values(answer.content ?? { none: {} }),
          );
          return { answer: `${method} ${path}`, succeeds: succeeded.length > 0, content };
        });
      const without = answers.filter(
        ({ succeeds, content }) => !succeeds || content.some(({ schema }) => Object.keys(schema ?? {}).length === 0),
      );
      expect(without.map(({ answer }) => answer)).toEqual([]);
    });

    it('with every schema that it refers to', () => {
      const references = JSON.stringify(document).match(/#\/components\/schemas\/[\w.]+/g) ?? [];
      const missing = [...new Set(references)].filter(
        (one) => !(one.split('/').at(-1)! in document.components.schemas),
      );
      expect(missing).toEqual([]);
    });

    it('with every parameter of its paths', () => {
      for (const { path, operation } of routes) {
        const inPath = [...path.matchAll(/\{([^}]+)\}/g)].map(([, name]) => name);
        const told = operation.parameters?.filter((one) => one.in === 'path').map(({ name }) => name) ?? [];
        expect({ path, told: told.sort() }).toEqual({ path, told: inPath.sort() });
      }
    });

    it('on a page that loads everything from here and allows scripts from files alone', async () => {
      const page = await ask('GET', '/docs');
      const html = await page.text();
      expect(page.headers.get('content-security-policy')).toContain("script-src 'self'");
      expect(html).not.toMatch(/https?:\/\//);
      expect(html).not.toMatch(/<script>|onload=/);
      for (const [, source] of html.matchAll(/(?:src|href)="([^"]+)"/g)) {
        const answer = await ask('GET', source!);
        expect({ source, status: answer.status }).toEqual({ source, status: 200 });
        expect((await answer.arrayBuffer()).byteLength).toBeGreaterThan(100);
      }
      expect((await ask('GET', '/docs/package.json')).status).toBe(404);
    });

    it('on the same page where a slash follows, and HEAD works wherever GET does', async () => {
      const { url, headers } = await ask('GET', '/docs/');
      expect({ path: new URL(url).pathname, type: headers.get('content-type') }).toEqual({
        path: '/docs',
        type: 'text/html; charset=utf-8',
      });
      const gets = routes.filter(({ method, path }) => method === 'GET' && !path.includes('/stream'));
      for (const path of ['/', '/docs', '/docs/', '/docs/swagger-ui.css', ...gets.map(({ path: one }) => one)]) {
        const address = filled(path);
        const [head, get] = [await ask('HEAD', address, ADMIN_TOKEN), await ask('GET', address, ADMIN_TOKEN)];
        await get.body?.cancel();
        expect({ path, status: head.status }).toEqual({ path, status: get.status });
      }
    });

    it('with schemas that a validator takes, for what people write', async () => {
      for (const name of ['workflow.json', 'rule.json']) {
        const schema = (await (await ask('GET', `/schemas/${name}`)).json()) as { $schema?: string };
        delete schema.$schema;
        expect(() => new Ajv({ strict: false, validateFormats: false }).compile(schema)).not.toThrow();
      }
      expect((await ask('GET', '/schemas/nothing.json')).status).toBe(404);
    });
  });

  describe('lets nobody in', () => {
    it('query parameters that are not described, and accepts all that are', async () => {
      for (const { method, path, operation } of routes.filter((route) => !isOpen(route))) {
        const answerTo = async (query: string) => {
          const body = method === 'POST' || method === 'PUT' || method === 'PATCH' ? {} : undefined;
          const answer = await ask(method, `${filled(path)}?${query}`, ADMIN_TOKEN, body);
          return answer.text();
        };
        expect(`${method} ${path}: ${await answerTo('no-such-parameter=1')}`).toContain('query.unknown_parameter');
        const names = (operation.parameters ?? []).flatMap((one) => (one.in === 'query' ? [one.name] : []));
        if (names.length > 0)
          expect(await answerTo(names.map((name) => `${name}=x`).join('&'))).not.toContain('query.unknown_parameter');
      }
    });

    it('without a token, on any route but the open ones', async () => {
      for (const route of routes.filter((one) => !isOpen(one))) {
        const body = route.method === 'GET' || route.method === 'DELETE' ? undefined : {};
        const answer = await ask(route.method, filled(route.path), undefined, body);
        expect({ ...route, operation: 0, status: answer.status }).toEqual({ ...route, operation: 0, status: 401 });
        expect(answer.headers.get('www-authenticate')).toContain('Bearer');
      }
    });

    it('on an open route that should not be one', () => {
      const open = routes.filter(isOpen).map(({ path }) => path);
      expect([...new Set(open)].sort()).toEqual([
        // The callback token of one execution opens it.
        '/agents/{id}/executions/{executionId}/result',
        '/agents/{id}/webhook',
        '/api/communicator/botframework/{id}/messages',
        '/api/communicator/webhook/{id}',
        '/api/v1/agents/{id}/executions/{executionId}/result',
        '/api/v1/agents/{id}/webhook',
        '/api/v1/openapi.json',
        '/api/v1/webhooks/inbound/{slug}',
        '/api/webhook/{customPath}',
        '/healthz',
        '/metrics',
        '/readyz',
        '/schemas/{name}',
        '/webhooks/{id}',
        '/webhooks/{id}/{provider}',
      ]);
    });

    it('without the role that a route names', async () => {
      for (const role of ['auditor', 'designer', 'integrator']) {
        const { token } = await tokenFor(role);
        for (const { method, path, operation } of routes.filter((one) => !isOpen(one))) {
          const roles = operation['x-roles'];
          if (!roles || roles.includes(role)) continue;
          const answer = await ask(
            method,
            filled(path),
            token,
            method === 'GET' || method === 'DELETE' ? undefined : {},
          );
          expect({ role, method, path, status: answer.status }).toEqual({ role, method, path, status: 403 });
        }
      }
    });

    it('who could change anything as an auditor', () => {
      const changing = routes.filter((one) => !isOpen(one) && one.method !== 'GET');
      const harmless = [
        '/api/v1/rules/test',
        '/api/v1/rules/backtest',
        '/api/v1/workflows/validate',
        '/api/v1/event-types/validate',
        // They read: of replays, a rerun refuses everybody but admins.
        '/api/v1/replays',
        '/api/v1/replays/{id}/cancel',
        // Looks a person up; the id must not stand in a URL.
        '/api/v1/subjects/lookup',
        // Searches that auditors save for themselves: nothing acts on them.
        '/api/v1/event-views',
        '/api/v1/event-views/{name}',
        // The step names its approvers, of any role, and the route refuses everybody else.
        '/api/v1/runs/{id}/approvals/{stepPath}',
      ];
      const allowed = changing.filter(({ operation }) => operation['x-roles']?.includes('auditor') ?? true);
      expect(allowed.map(({ path }) => path).filter((path) => !harmless.includes(path))).toEqual([]);
    });

    it('with a token that was revoked', async () => {
      const { id, token } = await tokenFor('auditor');
      expect((await ask('GET', '/api/v1/events', token)).status).toBe(200);
      expect((await ask('DELETE', `/api/v1/tokens/${id}`, ADMIN_TOKEN)).status).toBe(204);
      expect((await ask('GET', '/api/v1/events', token)).status).toBe(401);
    });
  });

  describe('answers', () => {
    it('reads at once what was just written', async () => {
      const { id } = await server.post<{ id: string }>('/api/v1/events', {
        type: 'message.received',
        source: 'spec',
        subject: 'channel/ops',
        data: (await server.get<{ example: object }>('/api/v1/event-types/message.received')).example,
      });
      expect(await server.get(`/api/v1/events/${id}`)).toMatchObject({ id, type: 'message.received', source: 'spec' });
      const [listed] = await server.list<{ id: string }>('/api/v1/events?source=spec');
      expect(listed).toMatchObject({ id });
      const trace = await server.get<{ root: object }>(`/api/v1/events/${id}/trace`);
      expect(trace).toMatchObject({ correlationId: id, root: { id, type: 'message.received' } });
    });

    it('an event with the digits that were published', async () => {
      const { example } = await server.get<{ example: object }>('/api/v1/event-types/message.received');
      const payload = '{"price":1.50,"rate":2.0e3,"id":7615917337495251231}';
      const data = JSON.stringify({ ...example, payload: {} }).replace('"payload":{}', `"payload":${payload}`);
      const answer = await fetch(`${server.url}/api/v1/events`, {
        method: 'POST',
        headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' },
        body: `{"type":"message.received","data":${data}}`,
      });
      const { id } = (await answer.json()) as { id: string };
      expect(await server.text(`/api/v1/events/${id}`)).toContain(`"payload":${payload}`);
    });

    it('a POST that is sent twice with one Idempotency-Key once', async () => {
      const send = (name: string) =>
        ask('POST', '/api/v1/tokens', ADMIN_TOKEN, { name, roles: ['auditor'] }, { 'idempotency-key': 'e2e-1' });
      const first = await send('twice');
      const again = await send('twice');
      expect([first.status, again.status]).toEqual([201, 201]);
      expect(await again.json()).toEqual(await first.json());
      expect(again.headers.get('idempotency-replayed')).toBe('true');
      expect((await send('other')).status).toBe(422);
      const tokens = await server.list<{ name: string }>('/api/v1/tokens');
      expect(tokens.filter(({ name }) => name === 'twice')).toHaveLength(1);
    });

    it('with a rate limit for each token on the API, and without one elsewhere', async () => {
      const answer = await ask('GET', '/api/v1/rules', ADMIN_TOKEN);
      expect(Number(answer.headers.get('ratelimit-limit'))).toBeGreaterThan(1_000);
      expect(answer.headers.get('ratelimit-remaining')).not.toBeNull();
      expect((await ask('GET', '/healthz')).headers.get('ratelimit-limit')).toBeNull();
    });

    it('as NDJSON where the client takes that, oldest first', async () => {
      const answer = await ask('GET', '/api/v1/events', ADMIN_TOKEN, undefined, { accept: 'application/x-ndjson' });
      expect(answer.headers.get('content-type')).toContain('application/x-ndjson');
      const lines = (await answer.text()).trimEnd().split('\n');
      const positions = lines.map((line) =>
        Number((JSON.parse(line) as { metadata: { position: string } }).metadata.position),
      );
      expect(positions).toEqual([...positions].sort((a, b) => a - b));
      expect(positions.length).toBeGreaterThan(3);
    });

    it('with a request id, its own or that of the client, and the headers that keep a browser safe', async () => {
      for (const path of ['/healthz', '/api/v1/rules', '/nothing', '/api/v1/webhooks/inbound/wh_nobody', '/docs']) {
        const own = await ask('GET', path);
        expect(own.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
        expect(own.headers.get('x-content-type-options')).toBe('nosniff');
        expect(own.headers.get('content-security-policy')).toContain("default-src 'none'");
      }
      const given = await ask('GET', '/nothing', undefined, undefined, { 'x-request-id': 'trace-1' });
      expect(given.headers.get('x-request-id')).toBe('trace-1');
      expect(await given.json()).toMatchObject({ requestId: 'trace-1' });
      const inbound = await ask('GET', '/api/v1/webhooks/inbound/wh_nobody', undefined, undefined, {
        'x-request-id': 'trace-2',
      });
      expect(await inbound.json()).toMatchObject({ status: 405, requestId: 'trace-2' });
      const odd = await ask('GET', '/nothing', undefined, undefined, { 'x-request-id': 'a b"<script>' });
      expect(odd.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
    });

    it('a wrong method with 405 and those that there are', async () => {
      const answer = await ask('DELETE', '/api/v1/events', ADMIN_TOKEN);
      expect(answer.status).toBe(405);
      expect(answer.headers.get('allow')).toBe('GET, HEAD, POST');
      expect(((await answer.json()) as { detail: string }).detail).toContain('GET');
    });
  });

  it('measures itself, without anything that a stranger could have written', async () => {
    await ask('GET', '/no/such/hunter2?hunter2', 'hunter2');
    const text = await (await ask('GET', '/metrics', ADMIN_TOKEN)).text();
    for (const name of [
      'process_resident_memory_bytes',
      'millrace_http_request_duration_seconds_count',
      'millrace_log_append_duration_seconds_count{outcome="stored"}',
      'millrace_events_appended_total{type="token.created"}',
      'millrace_subscriber_lag_events{subscriber="audit.events"}',
    ])
      expect(text).toContain(name);
    expect(text).not.toContain('hunter2');
    expect(text).not.toContain(ADMIN_TOKEN);
  });

  it('tells strangers whether it is ready, and nothing else', async () => {
    expect(await (await ask('GET', '/readyz')).json()).toEqual({ status: 'ready', reasons: [] });
    const text = await (await ask('GET', '/metrics')).text();
    expect(text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))).toEqual(['millrace_ready 1']);
    for (const path of ['/readyz', '/metrics']) {
      expect((await ask('GET', path, 'mr_nobody')).status).toBe(401);
      expect(await (await ask('GET', path, ADMIN_TOKEN)).text()).toContain('audit.events');
    }
  });

  it('writes no token into its log', () => {
    expect(server.output).not.toContain(ADMIN_TOKEN);
  });

  it('keeps its generated key for its owner alone', async () => {
    expect((await stat(join(server.dataDir, 'secret.key'))).mode & 0o777).toBe(0o600);
  });
});

describe('starting and stopping', () => {
  it('shows the first admin token once, and a curl that works with it', async () => {
    const first = await TestServer.start({ env: { MILLRACE_ADMIN_TOKEN: '' } });
    try {
      const [token] = /mr_[\w-]{43}/.exec(first.output) ?? [];
      expect(token).toBeDefined();
      const [, header, url] = /curl -H "([^"]+)" (\S+)/.exec(first.output) ?? [];
      expect(header).toBe(`Authorization: Bearer ${token}`);
      const answer = await fetch(url!, { headers: { authorization: header!.replace('Authorization: ', '') } });
      expect(answer.status).toBe(200);
      first.child.kill('SIGTERM');
      expect(await first.exit()).toBe(0);

      const second = await TestServer.start({ dataDir: first.dataDir, env: { MILLRACE_ADMIN_TOKEN: '' } });
      expect(second.output).not.toMatch(/mr_[\w-]{43}/);
      expect(second.output).toContain(second.url);
      const still = await fetch(`${second.url}/api/v1/events`, { headers: { authorization: `Bearer ${token}` } });
      expect(still.status).toBe(200);
      await second.stop();

      const third = await TestServer.start({ dataDir: first.dataDir });
      const old = await fetch(`${third.url}/api/v1/events`, { headers: { authorization: `Bearer ${token}` } });
      expect(old.status).toBe(401);
      await third.get('/api/v1/events');
      await third.stop();
    } finally {
      await first.stop();
    }
  });

  it('split by roles: an api process answers and decides nothing, a worker process decides and serves no API', async () => {
    const api = await TestServer.start({ env: { MILLRACE_ROLES: 'api' } });
    try {
      const ready = await api.get<{ subscribers: { kind: string }[] }>('/readyz');
      expect(ready.subscribers.filter(({ kind }) => kind === 'subscriber')).toEqual([]);
      expect((await api.get<{ data: unknown[] }>('/api/v1/tokens')).data).toHaveLength(1);
    } finally {
      await api.stop();
    }
    const worker = await TestServer.start({ env: { MILLRACE_ROLES: 'worker' } });
    try {
      expect((await fetch(`${worker.url}/metrics`)).status).toBe(200);
      const answer = await fetch(`${worker.url}/api/v1/events`, {
        headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
      });
      expect(answer.status).toBe(404);
      expect(await answer.json()).toMatchObject({ code: 'server.worker_only' });
    } finally {
      await worker.stop();
    }
  });

  it('with a key that cannot open what is stored says so before it listens to anybody', async () => {
    const key = (byte: number) => Buffer.alloc(32, byte).toString('base64');
    const first = await TestServer.start({ env: { MILLRACE_SECRET_KEY: key(1) } });
    try {
      await first.post('/api/v1/integrations', {
        name: 'acme',
        provider: 'github',
        secret: 'a-secret-of-enough-characters',
      });
      first.child.kill('SIGTERM');
      await first.exit();

      const wrong = await TestServer.start({
        dataDir: first.dataDir,
        env: { MILLRACE_SECRET_KEY: key(2) },
        waitUntilReady: false,
      });
      expect(await wrong.exit()).toBe(1);
      expect(wrong.output).toContain('MILLRACE_SECRET_KEY=<new key>,<old key>');
      expect(wrong.output).not.toContain(key(2));

      const both = `${key(2)},${key(1)}`;
      const rotated = await TestServer.start({ dataDir: first.dataDir, env: { MILLRACE_SECRET_KEY: both } });
      await rotated.stop();
      const only = await TestServer.start({ dataDir: first.dataDir, env: { MILLRACE_SECRET_KEY: key(2) } });
      expect((await only.list<{ name: string }>('/api/v1/integrations')).map(({ name }) => name)).toEqual(['acme']);
      await only.stop();
    } finally {
      await first.stop();
    }
  });
});
